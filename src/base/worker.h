// A Worker runs what takes long (training) off the loop, and comes back to it.
#pragma once

#include "base/loop.h"

namespace fed_learn {

class Worker {
 public:
  virtual ~Worker() = default;  // waits for work that runs; its `done` is not called

  // Runs `work` once, then posts `done` to the loop. One piece of work at a time, in the order of calling.
  virtual void Run(Task work, Task done) = 0;
};

}  // namespace fed_learn
