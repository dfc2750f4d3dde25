// MemoryServerLink: the server's side of a MemoryNetwork.
#pragma once

#include <memory>

#include "base/loop.h"
#include "transport/link.h"
#include "transport/memory/network.h"

namespace fed_learn {

struct MemoryServerEnd;

class MemoryServerLink final : public ServerLink {
 public:
  // Calls back on `loop`, which outlives the link. To kill a server: Kill() its SimulatedLoop::Node, then destroy the
  // link; its clients find it gone and reach the next one that is started in its place.
  MemoryServerLink(MemoryNetwork& network, Loop& loop);
  ~MemoryServerLink() override;

  // AlreadyExists while another server of the network has started and not ended.
  Status Start(ServerLinkHandler& handler) override;
  void Send(SessionId session, Json message) override;
  void Close(SessionId session, const Error& why) override;

 private:
  const std::shared_ptr<MemoryFabric> fabric_;
  const std::shared_ptr<MemoryServerEnd> end_;
};

}  // namespace fed_learn
