// What a link has moved and refused: for /metrics, benchmarks and tests.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fed_learn {

// Why a connection or request was turned away.
enum class Refusal {
  kNone,
  kNotTls,              // plain HTTP, or garbage
  kTlsVersion,          // older than TLS 1.3
  kNoCertificate,       // the peer showed none
  kForeignCertificate,  // of another project, or broken
  kExpiredCertificate,  // expired, or not yet valid
  kRevokedCertificate,
  kWrongRole,      // not a certificate for this side of a connection
  kSlowHandshake,  // not done at its deadline
  kSlowHeader,     // begun, not done at its deadline
  kBadRequest,     // not HTTP as docs/protocol.md has it
  kConnections,    // too many, of all peers or of one
  kRate,           // too many requests of one peer
  kStalledBody,    // a transfer without progress
  kOutbox,         // a session that does not read what it is sent
  kOther,
  kCount,
};

// For a metric's label, for example "no_certificate".
std::string_view ToString(Refusal refusal);

struct LinkMetrics {
  std::uint64_t wire_bytes_in = 0;  // as on the socket, TLS included
  std::uint64_t wire_bytes_out = 0;
  std::uint64_t body_bytes_in = 0;  // of GET and PUT bodies
  std::uint64_t body_bytes_out = 0;
  std::uint64_t handshakes = 0;  // completed
  std::uint64_t requests = 0;    // heads read (server) or sent (client)
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t connections = 0;  // open now
  std::array<std::uint64_t, static_cast<std::size_t>(Refusal::kCount)> refused{};

  std::uint64_t refused_for(Refusal refusal) const { return refused[static_cast<std::size_t>(refusal)]; }
};

// The same, being counted. Safe from any thread; a snapshot is not of one instant.
class LinkCounters {
 public:
  std::atomic<std::uint64_t> wire_bytes_in{0};
  std::atomic<std::uint64_t> wire_bytes_out{0};
  std::atomic<std::uint64_t> body_bytes_in{0};
  std::atomic<std::uint64_t> body_bytes_out{0};
  std::atomic<std::uint64_t> handshakes{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> messages_in{0};
  std::atomic<std::uint64_t> messages_out{0};
  std::atomic<std::uint64_t> connections{0};

  void CountRefusal(Refusal refusal) { ++refused_[static_cast<std::size_t>(refusal)]; }
  LinkMetrics Snapshot() const;

 private:
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Refusal::kCount)> refused_{};
};

}  // namespace fed_learn
