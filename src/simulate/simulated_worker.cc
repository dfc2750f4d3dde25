#include "simulate/simulated_worker.h"

#include <algorithm>
#include <utility>

namespace fed_learn {

SimulatedWorker::SimulatedWorker(Loop& loop, SimulatedWorkerOptions options)
    : loop_(loop), options_(options), random_(options.seed), busy_until_(loop.Now()) {}

void SimulatedWorker::Run(Task work, Task done) {
  const double share = random_.Uniform();
  const auto span = std::chrono::duration_cast<Duration>((options_.longest - options_.shortest) * share);
  busy_until_ = std::max(busy_until_, loop_.Now()) + options_.shortest + span;
  loop_.After(busy_until_ - loop_.Now(), [work = std::move(work), done = std::move(done)] {
    work();
    done();
  });
}

}  // namespace fed_learn
