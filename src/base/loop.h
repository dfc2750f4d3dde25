// A Loop runs tasks and timers one after another and tells the time. Everything that waits in fed_learn waits here, so
// that a whole federation can run under a simulated clock: no code reads a system clock or sleeps by itself.
//
// Post may be called from any thread; everything else only from the loop's own thread. Tasks run in the order of
// posting, timers in the order of their time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace fed_learn {

using Duration = std::chrono::nanoseconds;
// Since an arbitrary start; never goes back.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;
using Task = std::function<void()>;

enum class TimerId : std::uint64_t { kNone = 0 };

class Loop {
 public:
  virtual ~Loop() = default;

  // Runs `task` on the loop's thread, never inside this call.
  virtual void Post(Task task) = 0;

  // Runs `task` once, `delay` from now.
  virtual TimerId After(Duration delay, Task task) = 0;

  // The task of a cancelled timer does not run. Harmless for a timer that has run, and for kNone.
  virtual void Cancel(TimerId timer) = 0;

  virtual MonotonicTime Now() const = 0;

  // For what people read (logs, created times), never for deciding what to do.
  virtual WallTime Wall() const = 0;
};

}  // namespace fed_learn
