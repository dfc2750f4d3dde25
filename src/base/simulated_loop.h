// SimulatedLoop: a Loop under a virtual clock, so that hours of a federation run in milliseconds, and two runs with one
// seed run the same tasks in the same order.
//
// Single-threaded: also Post is called from the simulating thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/loop.h"
#include "base/random.h"

namespace fed_learn {

struct SimulatedLoopOptions {
  std::uint64_t seed = 0;

  // Nodes that have something to do at the same time take turns at random (by `seed`) instead of in the order of
  // posting. The order within a node stays.
  bool shuffle_nodes = false;

  WallTime wall_start{std::chrono::hours(24 * 365 * 56)};  // in the December of 2025
};

class SimulatedLoop final : public Loop {
 public:
  // The Loop of one simulated process. All its tasks and timers vanish, without running, when it is killed or
  // destroyed; what restarts is a new Node. The SimulatedLoop outlives it.
  class Node final : public Loop {
   public:
    ~Node() override;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // From now on nothing that was or will be posted here runs. For killing a process before its objects, which may
    // still post from their destructors, are taken apart. Allowed from within one of its own tasks.
    void Kill();
    bool killed() const { return killed_; }

    void Post(Task task) override;
    TimerId After(Duration delay, Task task) override;
    void Cancel(TimerId timer) override;
    MonotonicTime Now() const override { return world_.now_; }
    WallTime Wall() const override { return world_.Wall(); }

   private:
    friend class SimulatedLoop;
    // When, and the how-manieth posted of all: unique in the world.
    using Key = std::pair<MonotonicTime, std::uint64_t>;

    explicit Node(SimulatedLoop& world) : world_(world) {}
    Key Add(MonotonicTime time, Task task);
    Task TakeNext();

    SimulatedLoop& world_;
    std::map<Key, Task> events_;
    std::unordered_map<std::uint64_t, MonotonicTime> timers_;  // those that wait, by their Key's second half
    bool killed_ = false;
  };

  explicit SimulatedLoop(SimulatedLoopOptions options = {});
  ~SimulatedLoop() override;

  std::unique_ptr<Node> MakeNode();

  // Runs the earliest task, after moving the clock to its time. False if there is none.
  bool RunNext();

  // Runs until nothing waits, or until what waits lies more than `limit` ahead of the time of this call: then false.
  // Something that always sets a next timer never lets it end without a limit.
  bool RunUntilIdle(Duration limit = kNoLimit);

  // Runs until `done()`, which is asked before each task. False if that has not come when nothing waits or when `limit`
  // of virtual time has passed; the clock then stands at the limit.
  template <typename Predicate>
  bool RunUntil(Predicate done, Duration limit = kNoLimit) {
    const MonotonicTime end = EndOf(limit);
    while (!done()) {
      if (!RunNextBefore(end)) return false;
    }
    return true;
  }

  // Runs what falls into the next `duration`, which then has passed.
  void RunFor(Duration duration);

  // Tasks of the world itself, which no Kill takes away.
  void Post(Task task) override { own_.Post(std::move(task)); }
  TimerId After(Duration delay, Task task) override { return own_.After(delay, std::move(task)); }
  void Cancel(TimerId timer) override { own_.Cancel(timer); }
  MonotonicTime Now() const override { return now_; }
  WallTime Wall() const override { return options_.wall_start + now_.time_since_epoch(); }

  // How many tasks have run.
  std::uint64_t tasks_run() const { return tasks_run_; }

 private:
  static constexpr Duration kNoLimit = Duration::max();

  MonotonicTime EndOf(Duration limit) const;
  // RunNext, unless that lies beyond `end`: then the clock is moved to `end`, if that is a limit, and false returned.
  bool RunNextBefore(MonotonicTime end);
  Node& ChooseNode();

  const SimulatedLoopOptions options_;
  Random random_;
  MonotonicTime now_{};
  std::uint64_t posted_ = 0;
  std::uint64_t tasks_run_ = 0;
  std::set<std::pair<Node::Key, Node*>>
      ready_;  // each node's earliest event; keys are unique, so pointers never decide
  Node own_;
};

}  // namespace fed_learn
