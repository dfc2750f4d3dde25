// Admission: how much of the server one peer, and all of them, may take up; and the log of those turned away.
//
// Safe from any thread. Asked once a connection, request or message, never while bytes move.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/loop.h"
#include "base/result.h"
#include "transport/https/metrics.h"

namespace fed_learn {

struct AdmissionLimits {
  std::size_t connections_max = 4096;
  std::size_t connections_per_peer_max = 32;
  double requests_per_second = 200;  // of one peer, sustained; control messages count as requests
  double requests_burst = 1000;      // and what it may ask at once after a pause
};

class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  // Takes a place for one more connection. False if there is none.
  bool Enter();
  void Leave();

  // Takes a place for one more of this peer's. ResourceExhausted, naming it, if there is none.
  Status EnterPeer(const std::string& peer);
  void LeavePeer(const std::string& peer);

  // How long to put off this peer's next request; zero takes it off what the peer may ask.
  Duration PutOff(const std::string& peer, MonotonicTime now);

 private:
  struct PeerUse {
    std::size_t connections = 0;
    double tokens = 0;
    MonotonicTime counted{};
  };

  const AdmissionLimits limits_;
  std::mutex mutex_;
  std::size_t connections_ = 0;
  std::unordered_map<std::string, PeerUse> peers_;  // as many as the CA has signed
};

// Counts each refusal and logs it in one line, but no more lines than a person would read.
class RefusalLog {
 public:
  explicit RefusalLog(LinkCounters& counters) : counters_(&counters) {}

  void Note(Refusal refusal, const std::string& message, MonotonicTime now);

 private:
  static constexpr double kLinesBurst = 20;
  static constexpr double kLinesPerSecond = 1;

  LinkCounters* const counters_;
  std::mutex mutex_;
  double lines_ = kLinesBurst;
  MonotonicTime counted_{};
  std::size_t unlogged_ = 0;
};

}  // namespace fed_learn
