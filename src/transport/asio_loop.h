// AsioLoop: the real Loop, over an io_context that it owns and one thread at a time runs.
#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/loop.h"

namespace fed_learn {

// Post, Stop and Now are safe from any thread; everything else belongs to the thread that is in Run (or, while no
// thread is, to the owner's).
class AsioLoop : public Loop {
 public:
  AsioLoop() = default;
  ~AsioLoop() override;  // tasks and timers that have not run are dropped. REQUIRES: no thread is in Run.
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  // Runs tasks and timers until Stop, also while there are none.
  void Run();

  // Makes Run return once what was posted before has run; if no thread is in Run, the next one.
  void Stop();

  void Post(Task task) override;
  TimerId After(Duration delay, Task task) override;
  void Cancel(TimerId timer) override;
  MonotonicTime Now() const override;
  WallTime Wall() const override;

  // For sockets, whose handlers then run on this loop's thread.
  boost::asio::io_context& context() { return context_; }

 private:
  using Timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                        boost::asio::io_context::executor_type>;
  struct Waiting {
    Timer timer;
    Task task;
  };

  // The timers are declared first: what the context drops at its end may still cancel one.
  std::unordered_map<std::uint64_t, std::unique_ptr<Waiting>> timers_;
  std::uint64_t last_timer_ = 0;
  boost::asio::io_context context_{1};
};

}  // namespace fed_learn
