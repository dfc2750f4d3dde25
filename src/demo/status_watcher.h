// StatusWatcher: an admin's view of a server, pushed. Lives on the loop of its link.
#pragma once

#include <functional>

#include "base/json.h"
#include "transport/link.h"

namespace fed_learn {

class StatusWatcher : public ClientLinkHandler {
 public:
  // The link outlives this. `on_status` gets each status; after the session ends nothing comes any more.
  StatusWatcher(ClientLink& link, std::function<void(const Json&)> on_status);

  void Start();

  void OnOpen() override;
  void OnMessage(Json message) override;
  void OnClose(const Error& why) override;

 private:
  ClientLink& link_;
  std::function<void(const Json&)> on_status_;
};

}  // namespace fed_learn
