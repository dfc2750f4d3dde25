// SimulatedWorker: work that takes virtual time. It runs at the end of its time, on the loop's thread.
#pragma once

#include "base/random.h"
#include "base/worker.h"

namespace fed_learn {

struct SimulatedWorkerOptions {
  Duration shortest = std::chrono::seconds(1);
  Duration longest = std::chrono::seconds(1);
  std::uint64_t seed = 0;
};

class SimulatedWorker : public Worker {
 public:
  SimulatedWorker(Loop& loop, SimulatedWorkerOptions options);
  void Run(Task work, Task done) override;

 private:
  Loop& loop_;
  SimulatedWorkerOptions options_;
  Random random_;
  MonotonicTime busy_until_;
};

}  // namespace fed_learn
