// MemoryClientLink: a client's side of a MemoryNetwork.
#pragma once

#include <memory>
#include <string>

#include "base/loop.h"
#include "transport/link.h"
#include "transport/memory/network.h"

namespace fed_learn {

struct MemoryClientEnd;

class MemoryClientLink final : public ClientLink {
 public:
  // Calls back on `loop`, which outlives the link. The server will see `self` as the peer, proved. To kill a client:
  // Kill() its SimulatedLoop::Node, then destroy the link; the server finds it gone.
  MemoryClientLink(MemoryNetwork& network, Loop& loop, Peer self);
  ~MemoryClientLink() override;

  void Start(ClientLinkHandler& handler) override;
  void Open() override;
  void Send(Json message) override;
  void Close() override;
  void SetToken(std::string token) override;
  void Get(std::string path, std::shared_ptr<ByteSink> sink, Answer<std::uint64_t> done) override;
  void Put(std::string path, std::shared_ptr<const ByteSource> source, std::uint64_t offset,
           Answer<Json> done) override;

 private:
  const std::shared_ptr<MemoryFabric> fabric_;
  const std::shared_ptr<MemoryClientEnd> end_;
};

}  // namespace fed_learn
