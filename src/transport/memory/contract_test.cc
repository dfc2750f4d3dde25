#include "base/simulated_loop.h"
#include "transport/link_contract.h"
#include "transport/memory/client.h"
#include "transport/memory/network.h"
#include "transport/memory/server.h"

namespace fed_learn {
namespace {

class MemoryLinkPair final : public LinkPair {
 public:
  MemoryLinkPair(SimulatedLoopOptions loop, MemoryNetworkOptions options)
      : world_(loop), network_(world_, 1, options), at_server_(world_.MakeNode()), at_client_(world_.MakeNode()) {}

  std::unique_ptr<ServerLink> MakeServer() override {
    return std::make_unique<MemoryServerLink>(network_, *at_server_);
  }
  std::unique_ptr<ClientLink> MakeClient(const std::string& name) override {
    return std::make_unique<MemoryClientLink>(network_, *at_client_,
                                              Peer{.name = name, .role = PeerRole::kSite, .address = "memory"});
  }
  bool RunUntil(const std::function<bool()>& done) override { return world_.RunUntil(done, std::chrono::hours(1)); }
  bool Break(const std::string& name) override {
    network_.Break(name);
    return true;
  }

 private:
  SimulatedLoop world_;
  MemoryNetwork network_;
  const std::unique_ptr<SimulatedLoop::Node> at_server_;
  const std::unique_ptr<SimulatedLoop::Node> at_client_;
};

std::unique_ptr<LinkPair> Perfect() {
  return std::make_unique<MemoryLinkPair>(SimulatedLoopOptions{}, MemoryNetworkOptions{});
}

std::unique_ptr<LinkPair> Slow() {
  using std::chrono::milliseconds;
  return std::make_unique<MemoryLinkPair>(SimulatedLoopOptions{.seed = 1, .shuffle_nodes = true},
                                          MemoryNetworkOptions{.delay_min = milliseconds(1),
                                                               .delay_max = milliseconds(100),
                                                               .bytes_per_second = 1e6,
                                                               .chunk_bytes_max = 1000,
                                                               .half_open_max = milliseconds(1000),
                                                               .reorder_max = milliseconds(50)});
}

INSTANTIATE_TEST_SUITE_P(Memory, LinkContract, ::testing::Values(&Perfect));
INSTANTIATE_TEST_SUITE_P(SlowMemory, LinkContract, ::testing::Values(&Slow));

}  // namespace
}  // namespace fed_learn
