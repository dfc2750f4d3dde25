#include "base/simulated_loop.h"

#include <algorithm>
#include <iterator>

namespace fed_learn {

SimulatedLoop::Node::~Node() { Kill(); }

void SimulatedLoop::Node::Kill() {
  killed_ = true;
  if (!events_.empty()) world_.ready_.erase({events_.begin()->first, this});
  timers_.clear();
  // What a task holds may call back into this node as it goes.
  std::map<Key, Task> dropped;
  dropped.swap(events_);
}

SimulatedLoop::Node::Key SimulatedLoop::Node::Add(MonotonicTime time, Task task) {
  const Key key{time, ++world_.posted_};
  const bool first = events_.empty() || key < events_.begin()->first;
  if (first) {
    if (!events_.empty()) world_.ready_.erase({events_.begin()->first, this});
    world_.ready_.insert({key, this});
  }
  events_.emplace(key, std::move(task));
  return key;
}

Task SimulatedLoop::Node::TakeNext() {
  auto event = events_.extract(events_.begin());
  world_.ready_.erase({event.key(), this});
  timers_.erase(event.key().second);
  if (!events_.empty()) world_.ready_.insert({events_.begin()->first, this});
  return std::move(event.mapped());
}

void SimulatedLoop::Node::Post(Task task) {
  if (!killed_) Add(world_.now_, std::move(task));
}

TimerId SimulatedLoop::Node::After(Duration delay, Task task) {
  if (killed_) return TimerId::kNone;
  delay = std::max(delay, Duration::zero());
  const bool within_time = delay < MonotonicTime::max() - world_.now_;
  const Key key = Add(within_time ? world_.now_ + delay : MonotonicTime::max(), std::move(task));
  timers_.emplace(key.second, key.first);
  return TimerId{key.second};
}

void SimulatedLoop::Node::Cancel(TimerId timer) {
  const auto waiting = timers_.find(static_cast<std::uint64_t>(timer));
  if (waiting == timers_.end()) return;
  const Key key{waiting->second, waiting->first};
  timers_.erase(waiting);
  const bool first = key == events_.begin()->first;
  const auto event = events_.extract(key);
  if (!first) return;
  world_.ready_.erase({key, this});
  if (!events_.empty()) world_.ready_.insert({events_.begin()->first, this});
}

SimulatedLoop::SimulatedLoop(SimulatedLoopOptions options)
    : options_(options), random_(DeriveSeed(options.seed, "loop")), own_(*this) {}

SimulatedLoop::~SimulatedLoop() = default;

std::unique_ptr<SimulatedLoop::Node> SimulatedLoop::MakeNode() { return std::unique_ptr<Node>(new Node(*this)); }

SimulatedLoop::Node& SimulatedLoop::ChooseNode() {
  auto chosen = ready_.begin();
  if (!options_.shuffle_nodes) return *chosen->second;
  const MonotonicTime time = chosen->first.first;
  std::uint64_t candidates = 0;
  for (auto node = ready_.begin(); node != ready_.end() && node->first.first == time; ++node) ++candidates;
  if (candidates > 1) std::advance(chosen, random_.Below(candidates));
  return *chosen->second;
}

bool SimulatedLoop::RunNext() {
  if (ready_.empty()) return false;
  now_ = ready_.begin()->first.first;
  const Task task = ChooseNode().TakeNext();
  ++tasks_run_;
  task();
  return true;
}

MonotonicTime SimulatedLoop::EndOf(Duration limit) const {
  return limit < MonotonicTime::max() - now_ ? now_ + limit : MonotonicTime::max();
}

bool SimulatedLoop::RunNextBefore(MonotonicTime end) {
  if (!ready_.empty() && ready_.begin()->first.first <= end) return RunNext();
  if (end != MonotonicTime::max()) now_ = end;
  return false;
}

bool SimulatedLoop::RunUntilIdle(Duration limit) {
  const MonotonicTime end = EndOf(limit);
  while (!ready_.empty()) {
    if (!RunNextBefore(end)) return false;
  }
  return true;
}

void SimulatedLoop::RunFor(Duration duration) {
  const MonotonicTime end = EndOf(duration);
  while (RunNextBefore(end)) {
  }
}

}  // namespace fed_learn
