// MemoryNetwork: connects MemoryServerLink and MemoryClientLinks in one process, as well or as badly as its options
// say.
//
// Under a SimulatedLoop two runs with one seed deliver, delay and cut the same things. Everything of one network
// (links, loops, drivers) lives on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/loop.h"

namespace fed_learn {

class MemoryFabric;

// The defaults are a network without delay or fault. Chances are from 0 to 1.
struct MemoryNetworkOptions {
  // One way, for each control message, request, answer and the first chunk of a body; anything between the two.
  Duration delay_min{0};
  Duration delay_max{0};
  double bytes_per_second = 0;              // of each transfer's body; 0: no limit
  std::size_t chunk_bytes_max = 256 << 10;  // a body moves, and is cut, in pieces of this size

  // That the connection breaks with a control message or a transfer's request or answer on its way, which is lost.
  double message_cut_chance = 0;
  double chunk_cut_chance = 0;  // that a transfer breaks after a chunk of its body

  // Of a connection that breaks, one side, at random, learns at once, the other up to this much later.
  Duration half_open_max{0};

  // That the server sees a finished PUT a second time, as from a proxy that tries again; nobody hears that answer.
  double duplicate_put_chance = 0;

  // A GET or PUT reaches the server up to this much later than control messages sent after it.
  Duration reorder_max{0};

  std::size_t outbox_bytes_max = 4 << 20;  // under way to a client; beyond, the server closes the session
};

// What went through, payload only.
struct MemoryTraffic {
  std::uint64_t put_bytes = 0;
  std::uint64_t get_bytes = 0;
  std::uint64_t messages_to_server = 0;
  std::uint64_t messages_to_client = 0;
  std::uint64_t breaks = 0;      // sessions and transfers that broke on their way
  std::uint64_t duplicates = 0;  // PUTs delivered once more
};

class MemoryNetwork {
 public:
  // `world` carries what is under way; it outlives the network and its links. Each link calls back on a loop of its
  // own, for example a SimulatedLoop::Node of the same world, or on `world` itself.
  MemoryNetwork(Loop& world, std::uint64_t seed, MemoryNetworkOptions options = {});
  ~MemoryNetwork();
  MemoryNetwork(const MemoryNetwork&) = delete;
  MemoryNetwork& operator=(const MemoryNetwork&) = delete;

  // For every peer without options of its own; from now on.
  void SetOptions(MemoryNetworkOptions options);
  // For one peer, by its name.
  void SetOptions(const std::string& peer, MemoryNetworkOptions options);

  // Breaks what the peer has open. It may connect again at once.
  void Break(const std::string& peer);

  // Breaks what the peer has open and lets nothing through until Heal.
  void Cut(const std::string& peer);
  void Heal(const std::string& peer);

  MemoryTraffic TrafficOf(const std::string& peer) const;

 private:
  friend class MemoryServerLink;
  friend class MemoryClientLink;

  const std::shared_ptr<MemoryFabric> fabric_;  // also of links and of what is under way
};

}  // namespace fed_learn
