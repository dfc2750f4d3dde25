// StatusWatcher: an admin's view of a server, pushed. Lives on the loop of its link.
#pragma once

#include <functional>

#include "base/json.h"
#include "transport/link.h"

namespace fed_learn {

struct StatusCallbacks {
  std::function<void(const Json&)> on_status;
  std::function<void(const Error&)> on_close = [](const Error&) {};  // nothing comes after it
};

class StatusWatcher : public ClientLinkHandler {
 public:
  // The link outlives this.
  StatusWatcher(ClientLink& link, StatusCallbacks callbacks);

  void Start();

  void OnOpen() override;
  void OnMessage(Json message) override;
  void OnClose(const Error& why) override;

 private:
  ClientLink& link_;
  StatusCallbacks callbacks_;
};

}  // namespace fed_learn
