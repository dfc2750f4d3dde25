// ServiceProcess: a long-running program of ours (server, client) as a child process with its log in a file.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace fed_learn {

struct ServiceProcessOptions {
  std::vector<std::string> command;  // the first is a path
  std::string log_file;              // standard output and error; replaced
  // The command gets "--ready-fd N" appended, and Ready() reads there what it writes once it serves.
  bool tells_when_ready = false;
};

class ServiceProcess {
 public:
  // Starts it. It dies with us, however we die. `on_exit` gets the exit code (128 + signal if it was killed) on `loop`.
  static Result<std::unique_ptr<ServiceProcess>> Start(ServiceProcessOptions options, Loop& loop,
                                                       std::function<void(int)> on_exit);

  ~ServiceProcess();  // kills what still runs, and waits for it
  ServiceProcess(const ServiceProcess&) = delete;
  ServiceProcess& operator=(const ServiceProcess&) = delete;

  // Blocks until the program has written its line, without the newline. Unavailable if it ended before.
  // REQUIRES: tells_when_ready.
  Result<std::string> Ready();

  pid_t process() const { return process_; }
  void Signal(int signal);

 private:
  explicit ServiceProcess(pid_t process) : process_(process) {}

  pid_t process_;
  int ready_ = -1;                                               // read end
  std::shared_ptr<bool> wanted_ = std::make_shared<bool>(true);  // on_exit is; touched on the loop only
  std::thread waiter_;
};

// The last lines of a log, for the report when its process failed.
std::string LastLines(const std::string& path, int lines);

}  // namespace fed_learn
