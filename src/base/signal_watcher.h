// SignalWatcher: SIGINT and SIGTERM as tasks on a loop.
#pragma once

#include <functional>
#include <thread>

#include "base/loop.h"

namespace fed_learn {

class SignalWatcher {
 public:
  // From now on the process does not die of these signals; each one posts `on_signal` with its number to `loop`. Make
  // it before any other thread, since threads inherit which signals they leave alone. One at a time in a process.
  SignalWatcher(Loop& loop, std::function<void(int)> on_signal);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  void Watch();

  Loop& loop_;
  std::function<void(int)> on_signal_;
  int signals_ = -1;  // signalfd
  int stop_ = -1;     // eventfd
  std::thread thread_;
};

}  // namespace fed_learn
