#include "transport/asio_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace fed_learn {

namespace asio = boost::asio;

AsioLoop::~AsioLoop() {
  // A dropped task may own what cancels another timer, so the map is empty before any of them goes.
  const auto dropped = std::exchange(timers_, {});
}

void AsioLoop::Run() {
  const auto work = asio::make_work_guard(context_);
  context_.restart();
  context_.run();
}

void AsioLoop::Stop() {
  // Posted, because the restart() of a Run that begins at the same moment would undo a plain stop().
  asio::post(context_, [this] { context_.stop(); });
}

void AsioLoop::Post(Task task) { asio::post(context_, std::move(task)); }

TimerId AsioLoop::After(Duration delay, Task task) {
  const std::uint64_t id = ++last_timer_;
  auto waiting = std::make_unique<Waiting>(Waiting{Timer(context_), std::move(task)});
  waiting->timer.expires_after(delay);
  waiting->timer.async_wait([this, id](const boost::system::error_code&) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;  // cancelled
    const Task due = std::move(found->second->task);
    timers_.erase(found);
    due();
  });
  timers_.emplace(id, std::move(waiting));
  return TimerId{id};
}

void AsioLoop::Cancel(TimerId timer) {
  const auto found = timers_.find(static_cast<std::uint64_t>(timer));
  if (found == timers_.end()) return;
  const auto dropped = std::move(found->second);  // its task's captures may call back here
  timers_.erase(found);
}

MonotonicTime AsioLoop::Now() const { return std::chrono::steady_clock::now(); }

WallTime AsioLoop::Wall() const { return std::chrono::system_clock::now(); }

}  // namespace fed_learn
