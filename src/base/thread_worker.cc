#include "base/thread_worker.h"

#include <utility>

namespace fed_learn {

ThreadWorker::ThreadWorker(Loop& loop) : loop_(loop), thread_([this] { RunJobs(); }) {}

ThreadWorker::~ThreadWorker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ThreadWorker::Run(Task work, Task done) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(work), std::move(done)});
  }
  wake_.notify_one();
}

void ThreadWorker::RunJobs() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.work();
    lock.lock();
    if (stopping_) return;
    loop_.Post(std::move(job.done));
  }
}

}  // namespace fed_learn
