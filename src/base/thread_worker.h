// ThreadWorker: a Worker with a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/worker.h"

namespace fed_learn {

class ThreadWorker : public Worker {
 public:
  explicit ThreadWorker(Loop& loop);  // the loop outlives the worker
  ~ThreadWorker() override;
  void Run(Task work, Task done) override;

 private:
  struct Job {
    Task work;
    Task done;
  };
  void RunJobs();

  Loop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fed_learn
