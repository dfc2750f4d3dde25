// What the links of one MemoryNetwork share. Internal to transport/memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/loop.h"
#include "base/random.h"
#include "transport/link.h"
#include "transport/memory/network.h"

namespace fed_learn {

class MemoryFabric;
class MemorySession;
class MemoryTransfer;

// The side of a link that is called back: where, and who. Without a handler the link has not started, or has ended.
struct MemoryServerEnd {
  explicit MemoryServerEnd(Loop& owner) : loop(owner) {}

  Loop& loop;  // outlives the link, and is not used after it
  ServerLinkHandler* handler = nullptr;
  std::map<SessionId, std::shared_ptr<MemorySession>> sessions;
  std::map<std::uint64_t, std::shared_ptr<MemoryTransfer>> transfers;  // by serial number
};

struct MemoryClientEnd {
  MemoryClientEnd(Loop& owner, Peer self) : loop(owner), peer(std::move(self)) {}

  Loop& loop;
  const Peer peer;
  ClientLinkHandler* handler = nullptr;
  std::string token;
  std::shared_ptr<MemorySession> session;                              // open or opening
  std::map<std::uint64_t, std::shared_ptr<MemoryTransfer>> transfers;  // not answered yet
};

// Runs `task` on the end's loop, unless its link has ended by then. Never inside this call.
template <typename End>
void Tell(const std::weak_ptr<End>& end, Task task) {
  const auto now = end.lock();
  if (now == nullptr || now->handler == nullptr) return;
  now->loop.Post([end, task = std::move(task)] {
    const auto then = end.lock();
    if (then != nullptr && then->handler != nullptr) task();
  });
}

// A session or a transfer. Known to the fabric from its making to its end.
class MemoryConnection {
 public:
  MemoryConnection(std::shared_ptr<MemoryFabric> fabric, std::string peer);
  virtual ~MemoryConnection();
  MemoryConnection(const MemoryConnection&) = delete;
  MemoryConnection& operator=(const MemoryConnection&) = delete;

  // The network fails it; both sides learn, sooner or later. No effect on what has ended.
  virtual void Break() = 0;

  const std::string& peer() const { return peer_; }
  std::uint64_t serial() const { return serial_; }

 protected:
  MemoryFabric& fabric() const { return *fabric_; }
  const std::shared_ptr<MemoryFabric>& shared_fabric() const { return fabric_; }

 private:
  const std::shared_ptr<MemoryFabric> fabric_;
  const std::string peer_;
  const std::uint64_t serial_;
};

class MemoryFabric {
 public:
  MemoryFabric(Loop& world, std::uint64_t seed, MemoryNetworkOptions options)
      : world_(world), random_(DeriveSeed(seed, "network")), options_(options) {}

  // When each side hears of a break.
  struct Notice {
    Duration to_client;
    Duration to_server;
  };

  const MemoryNetworkOptions& OptionsOf(const std::string& peer) const;
  Duration DrawDelay(const std::string& peer);
  Duration DrawUpTo(Duration max);
  Notice DrawNotice(const std::string& peer);
  bool Chance(double probability) { return probability > 0 && random_.Chance(probability); }

  // Runs `task` on the world's loop: what nobody's death takes away.
  void After(Duration delay, Task task) { world_.After(delay, std::move(task)); }
  MonotonicTime Now() const { return world_.Now(); }

  bool reachable(const std::string& peer) const { return !cut_.contains(peer); }
  void set_reachable(const std::string& peer, bool reachable);
  void set_options(MemoryNetworkOptions options) { options_ = options; }
  void set_options(const std::string& peer, MemoryNetworkOptions options) { own_options_[peer] = options; }

  // The server that takes what arrives; null while there is none.
  std::shared_ptr<MemoryServerEnd> server() const { return server_.lock(); }
  void set_server(const std::shared_ptr<MemoryServerEnd>& server) { server_ = server; }

  void BreakAllOf(const std::string& peer);
  MemoryTraffic& traffic(const std::string& peer) { return traffic_[peer]; }

  std::uint64_t Register(MemoryConnection* connection);
  void Unregister(std::uint64_t serial) { connections_.erase(serial); }

 private:
  Loop& world_;
  Random random_;
  MemoryNetworkOptions options_;
  std::map<std::string, MemoryNetworkOptions> own_options_;
  std::set<std::string> cut_;
  std::weak_ptr<MemoryServerEnd> server_;
  std::map<std::string, MemoryTraffic> traffic_;
  std::map<std::uint64_t, MemoryConnection*> connections_;  // those that live, in the order of their making
  std::uint64_t last_serial_ = 0;
};

}  // namespace fed_learn
