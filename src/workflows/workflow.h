// Workflow: decides what happens next in a run. A pure state machine: events in, decisions out; no I/O, no clock, no
// randomness. The driver (server/) turns messages, timers and disk into events and carries the decisions out in order.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace fed_learn {

using Seconds = std::chrono::duration<double>;

// What a timer of the run is for; one of each can run at a time.
enum class RunTimer {
  kWaitAfterMinClients,  // the minimum has contributed; others may still come
  kRound,                // round_timeout, if configured
};

namespace event {
struct Started {};                                // the driver is ready; rounds go on from `round`
struct Joined { std::string site; };              // registered and alive
struct Left { std::string site; };                // quit, or silent for heart_beat_timeout
struct Contributed { std::string site; int round = 0; };  // accepted into the sum of the open round
struct TimerFired { RunTimer timer; };
struct RoundRecorded { int round = 0; };          // the model after `round` is on disk and the round recorded
struct Aborted { std::string why; };
}  // namespace event

using Event = std::variant<event::Started, event::Joined, event::Left, event::Contributed, event::TimerFired,
                           event::RoundRecorded, event::Aborted>;

namespace decision {
struct OpenRound { int round = 0; };              // begin the sum, offer the round to every site
struct StartTimer { RunTimer timer; Seconds delay{}; };
struct StopTimer { RunTimer timer; };
struct CloseRound { int round = 0; };             // finish the sum, save, record; then RoundRecorded
struct EndRun { bool completed = true; std::string why; };
}  // namespace decision

using Decision = std::variant<decision::OpenRound, decision::StartTimer, decision::StopTimer, decision::CloseRound,
                              decision::EndRun>;

// Whom the run waits for, and which setting decides, for status.
struct Waiting {
  std::vector<std::string> sites;  // alive and not yet in the sum
  std::string setting;             // "min_num_clients = 6", "wait_after_min_clients = 10"; empty: not waiting
};

class Workflow {
 public:
  virtual ~Workflow() = default;
  virtual std::vector<Decision> On(const Event& event) = 0;
  virtual Waiting waiting() const = 0;
};

}  // namespace fed_learn
