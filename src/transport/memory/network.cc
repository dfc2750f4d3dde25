#include "transport/memory/network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "transport/memory/fabric.h"

namespace fed_learn {

MemoryConnection::MemoryConnection(std::shared_ptr<MemoryFabric> fabric, std::string peer)
    : fabric_(std::move(fabric)), peer_(std::move(peer)), serial_(fabric_->Register(this)) {}

MemoryConnection::~MemoryConnection() { fabric_->Unregister(serial_); }

const MemoryNetworkOptions& MemoryFabric::OptionsOf(const std::string& peer) const {
  const auto own = own_options_.find(peer);
  return own == own_options_.end() ? options_ : own->second;
}

Duration MemoryFabric::DrawUpTo(Duration max) {
  if (max <= Duration::zero()) return Duration::zero();
  return Duration(static_cast<Duration::rep>(random_.Below(static_cast<std::uint64_t>(max.count()) + 1)));
}

Duration MemoryFabric::DrawDelay(const std::string& peer) {
  const MemoryNetworkOptions& options = OptionsOf(peer);
  return options.delay_min + DrawUpTo(options.delay_max - options.delay_min);
}

MemoryFabric::Notice MemoryFabric::DrawNotice(const std::string& peer) {
  const Duration soon = DrawDelay(peer);
  const Duration late = soon + DrawUpTo(OptionsOf(peer).half_open_max);
  const bool client_is_late = Chance(0.5);
  return {.to_client = client_is_late ? late : soon, .to_server = client_is_late ? soon : late};
}

void MemoryFabric::set_reachable(const std::string& peer, bool reachable) {
  if (reachable) {
    cut_.erase(peer);
  } else {
    cut_.insert(peer);
  }
}

std::uint64_t MemoryFabric::Register(MemoryConnection* connection) {
  connections_.emplace(++last_serial_, connection);
  return last_serial_;
}

void MemoryFabric::BreakAllOf(const std::string& peer) {
  std::vector<std::uint64_t> serials;
  for (const auto& [serial, connection] : connections_) {
    if (connection->peer() == peer) serials.push_back(serial);
  }
  for (const std::uint64_t serial : serials) {
    const auto connection = connections_.find(serial);  // breaking one may end another
    if (connection != connections_.end()) connection->second->Break();
  }
}

MemoryNetwork::MemoryNetwork(Loop& world, std::uint64_t seed, MemoryNetworkOptions options)
    : fabric_(std::make_shared<MemoryFabric>(world, seed, options)) {}

MemoryNetwork::~MemoryNetwork() = default;

void MemoryNetwork::SetOptions(MemoryNetworkOptions options) { fabric_->set_options(options); }

void MemoryNetwork::SetOptions(const std::string& peer, MemoryNetworkOptions options) {
  fabric_->set_options(peer, options);
}

void MemoryNetwork::Break(const std::string& peer) { fabric_->BreakAllOf(peer); }

void MemoryNetwork::Cut(const std::string& peer) {
  fabric_->set_reachable(peer, false);
  fabric_->BreakAllOf(peer);
}

void MemoryNetwork::Heal(const std::string& peer) { fabric_->set_reachable(peer, true); }

MemoryTraffic MemoryNetwork::TrafficOf(const std::string& peer) const { return fabric_->traffic(peer); }

}  // namespace fed_learn
