// ChildProgram: a user's program as a child of ours (a trainer; a host of components), with a channel to it. It starts
// the program under a supervisor, waits for what comes from it, tells a program that hangs from one that works long,
// and ends it with all that it has started. What is guaranteed about its end: supervisor.h.
//
// The program gets no descriptor but 0 (/dev/null), 1 and 2 (our log) and 3 (the channel, also named by the variable
// FED_LEARN_CHANNEL_FD), and no variable but those that it is given. Not thread-safe; its calls may block.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "transport/local/channel.h"
#include "transport/local/file_descriptor.h"
#include "transport/local/output_lines.h"
#include "transport/local/process_activity.h"

namespace fed_learn {

struct ProgramOptions {
  std::vector<std::string> command;      // a name without '/' is looked for in the PATH of `environment`
  std::string working_directory;         // empty: ours; a relative program path starts here
  std::vector<std::string> environment;  // "NAME=value"
  std::string title;                     // in logs and errors: "trainer 'python3 train.py'"
  // A program makes progress as long as a message comes, or it (or what it started) uses the processor, or reads or
  // writes. One that made none for this long hangs.
  std::chrono::duration<double> stall_timeout{600};
  ActivityReader activity = ActivityOfDescendants;
  ChannelLimits limits{};
};

// What Wait ended with, besides a message.
struct ProgramEnded {
  std::string how;  // "died with signal 9 (SIGKILL); its last lines: …"
};
struct ProgramStalled {
  std::string how;  // "has made no progress for 10 min …; its last lines: …"
};
struct ProgramBroken {
  Error why;  // it does not speak the channel's language; names the program
};
struct WaitStopped {};
using ProgramEvent = std::variant<LocalMessage, ProgramEnded, ProgramStalled, ProgramBroken, WaitStopped>;

class ChildProgram {
 public:
  // Finds the program and forks the supervisor; the program is not started yet. REQUIRES: command is not empty.
  // NotFound if there is no such program or folder, PermissionDenied if it may not be executed; both say what to mend.
  static Result<std::unique_ptr<ChildProgram>> Create(ProgramOptions options);

  ~ChildProgram();  // kills

  // Starts the program, with a new channel. REQUIRES: not running.
  Status Start();

  bool running() const { return running_; }
  bool lost() const { return supervisor_lost_; }  // the supervisor was killed; make another ChildProgram
  // Time that has passed, as far as Wait noticed it: for a `stop` that means "in five seconds".
  std::chrono::duration<double> waited() const;
  pid_t process() const { return process_; }
  const std::string& title() const { return options_.title; }

  // See Channel::Send. REQUIRES: has been started.
  Status Send(LocalMessage message);

  // Blocks until something happens, or `stop` (asked some ten times a second) says so. Meanwhile sends what is queued
  // and logs what the program prints. A message that was sent before the program's end comes before it.
  ProgramEvent Wait(const std::function<bool()>& stop);

  // Waits for its end at most `patience`; drops messages. True if it has ended.
  bool WaitForEnd(std::chrono::duration<double> patience);

  // To the program and its process group.
  void Signal(int signal);

  // Kills it and all that it has started. Does nothing if it is not running.
  void Kill();

 private:
  explicit ChildProgram(ProgramOptions options);

  Status ForkSupervisor(const std::string& path);
  Status ReadStarted();
  void OnTick();
  bool Stalls();
  void ReadOutput();
  void ReadReport();
  std::optional<ProgramEvent> NextMessage();
  std::string DescribeEnd() const;
  void Poll(int timeout_ms);

  ProgramOptions options_;
  OutputLines lines_;
  FileDescriptor supervisor_;
  pid_t supervisor_process_ = -1;
  FileDescriptor timer_;

  bool running_ = false;
  pid_t process_ = -1;
  int end_status_ = 0;
  bool supervisor_lost_ = false;
  std::optional<Channel> channel_;
  FileDescriptor output_;

  std::uint64_t ticks_ = 0;
  std::optional<std::uint64_t> channel_closed_at_;  // in ticks
  std::uint64_t idle_ticks_ = 0;
  std::uint64_t ticks_to_check_ = 0;
  std::optional<ProcessActivity> activity_;
};

}  // namespace fed_learn
