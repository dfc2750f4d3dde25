#include "transport/local/child_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "transport/local/supervisor.h"

namespace fed_learn {
namespace {

constexpr std::chrono::duration<double> kTick = std::chrono::milliseconds(100);
constexpr std::uint64_t kChecksPerStall = 10;
constexpr std::uint64_t kTicksToEndAfterClosing = 50;
constexpr std::chrono::duration<double> kKillPatience = std::chrono::seconds(10);
// A program that only wakes up now and then to look at a queue is not at work: less than this share of one processor.
constexpr double kIdleShare = 0.001;
constexpr int kOutputBytesMax = 1 << 20;

std::uint64_t TicksOf(std::chrono::duration<double> time) {
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(time / kTick)));
}

std::string_view PathOf(const std::vector<std::string>& environment) {
  constexpr std::string_view name = "PATH=";
  for (const std::string& variable : environment) {
    if (variable.starts_with(name)) return std::string_view(variable).substr(name.size());
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

bool IsFile(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode);
}

// The file that is executed, relative to `folder` if at all.
Result<std::string> FindProgram(const std::string& name, const std::string& folder, std::string_view search) {
  if (name.find('/') != std::string::npos) {
    const std::string seen_from_here = name[0] == '/' || folder.empty() ? name : folder + "/" + name;
    if (!IsFile(seen_from_here)) return NotFound("there is no program '" + Escaped(seen_from_here) + "'");
    if (::access(seen_from_here.c_str(), X_OK) == 0) return name;
    return PermissionDenied("'" + Escaped(seen_from_here) + "' is not executable; try chmod +x");
  }
  for (std::string_view rest = search; !name.empty();) {
    const std::size_t colon = rest.find(':');
    const std::string path = std::string(rest.substr(0, colon)) + "/" + name;
    if (path[0] == '/' && IsFile(path) && ::access(path.c_str(), X_OK) == 0) return path;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return NotFound("there is no program '" + Escaped(name) + "' in the PATH " + Escaped(search) +
                  "; install it or give its full path");
}

Status CheckFolder(const std::string& folder) {
  struct stat facts {};
  if (folder.empty() || (::stat(folder.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode))) return {};
  return NotFound("there is no folder '" + Escaped(folder) + "' to run it in; mend working_directory");
}

std::vector<char*> PointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Status SendOrder(int socket, SupervisorOrder order, const std::array<int, 2>* descriptors = nullptr) {
  iovec piece{&order, sizeof(order)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(*descriptors))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (descriptors != nullptr) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* attached = CMSG_FIRSTHDR(&message);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof(*descriptors));
    std::memcpy(CMSG_DATA(attached), descriptors->data(), sizeof(*descriptors));
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(order))) return {};
  return Unavailable("its supervisor has ended");
}

std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) return "exited with code " + std::to_string(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  const char* name = ::sigabbrev_np(signal);
  return "died with signal " + std::to_string(signal) + (name == nullptr ? "" : std::string(" (SIG") + name + ")");
}

}  // namespace

ChildProgram::ChildProgram(ProgramOptions options)
    : options_(std::move(options)),
      lines_([title = options_.title](std::string_view line) { LogInfo("{}: {}", title, line); }) {}

Result<std::unique_ptr<ChildProgram>> ChildProgram::Create(ProgramOptions options) {
  std::unique_ptr<ChildProgram> child(new ChildProgram(std::move(options)));
  const ProgramOptions& given = child->options_;
  const auto in_title = [&](const Error& error) { return error.In(given.title); };
  if (Status folder = CheckFolder(given.working_directory); !folder.has_value()) return in_title(folder.error());
  const auto path = FindProgram(given.command.front(), given.working_directory, PathOf(given.environment));
  if (!path.has_value()) return in_title(path.error());
  if (Status forked = child->ForkSupervisor(*path); !forked.has_value()) return in_title(forked.error());
  return child;
}

Status ChildProgram::ForkSupervisor(const std::string& path) {
  timer_ = FileDescriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const timespec tick{0, std::chrono::duration_cast<std::chrono::nanoseconds>(kTick).count()};
  const itimerspec times{tick, tick};
  if (!timer_.is_open() || ::timerfd_settime(timer_.get(), 0, &times, nullptr) != 0) return SystemError("timer", errno);

  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return SystemError("socketpair", errno);
  supervisor_ = FileDescriptor(ends[0]);
  const FileDescriptor theirs(ends[1]);

  std::vector<std::string> environment = options_.environment;
  environment.push_back("FED_LEARN_CHANNEL_FD=" + std::to_string(kChannelDescriptor));
  const std::vector<char*> arguments = PointersTo(options_.command);
  const std::vector<char*> variables = PointersTo(environment);
  const SupervisorPlan plan{.path = path.c_str(),
                            .arguments = arguments.data(),
                            .environment = variables.data(),
                            .folder = options_.working_directory.empty() ? nullptr : options_.working_directory.c_str(),
                            .socket = theirs.get()};
  supervisor_process_ = ::fork();
  if (supervisor_process_ == 0) RunSupervisor(plan);
  if (supervisor_process_ < 0) return SystemError("fork", errno);
  return {};
}

ChildProgram::~ChildProgram() {
  if (supervisor_process_ <= 0) return;
  ::shutdown(supervisor_.get(), SHUT_WR);
  channel_.reset();
  output_.Close();
  // It kills and ends; but a process that waits for a dead file server cannot be killed, and we do not wait for that.
  const std::uint64_t end = ticks_ + TicksOf(kKillPatience);
  while (!supervisor_lost_ && ticks_ < end) Poll(-1);
  ::waitpid(supervisor_process_, nullptr, supervisor_lost_ ? 0 : WNOHANG);
}

Status ChildProgram::Start() {
  lines_.Forget();
  ASSIGN_OR_RETURN(auto sockets, MakeSocketPair());
  std::array<int, 2> pipe_ends;
  if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return SystemError(options_.title + ": pipe", errno);
  output_ = FileDescriptor(pipe_ends[0]);
  const FileDescriptor their_output(pipe_ends[1]);
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(output_.get(), F_SETPIPE_SZ, kOutputBytesMax);  // so that it may print while nobody waits for it
  channel_.emplace(std::move(sockets.first), options_.title, options_.limits);
  channel_closed_at_.reset();
  const std::array<int, 2> descriptors = {sockets.second.get(), their_output.get()};
  Status started = SendOrder(supervisor_.get(), {SupervisorOrder::kStart, 0}, &descriptors);
  if (started.has_value()) started = ReadStarted();
  if (!started.has_value()) return started.error().In(options_.title);
  return {};
}

Status ChildProgram::ReadStarted() {
  SupervisorReport report;
  ssize_t got = 0;
  do {
    got = ::recv(supervisor_.get(), &report, sizeof(report), 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof(report))) return Unavailable("its supervisor has ended");
  if (report.kind == SupervisorReport::kStarted) {
    running_ = true;
    process_ = report.value;
    return {};
  }
  if (report.stage == SupervisorReport::kFolder) {
    return SystemError("its folder '" + Escaped(options_.working_directory) + "'", report.value);
  }
  if (report.stage == SupervisorReport::kFork) return SystemError("fork", report.value);
  return SystemError("could not be executed (a script needs a first line like #!/usr/bin/env python3)", report.value);
}

Status ChildProgram::Send(LocalMessage message) { return channel_->Send(std::move(message)); }

ProgramEvent ChildProgram::Wait(const std::function<bool()>& stop) {
  std::uint64_t missed = 0;  // ticks while nobody waited say nothing about the program
  if (::read(timer_.get(), &missed, sizeof(missed)) > 0) {
    ticks_ += missed;
    lines_.Refill();
  }
  idle_ticks_ = 0;
  ticks_to_check_ = 0;
  activity_.reset();
  Poll(0);
  while (true) {
    if (auto event = NextMessage()) return *std::move(event);
    if (!running_) {
      ReadOutput();
      lines_.Finish();
      return ProgramEnded{DescribeEnd()};
    }
    if (stop()) return WaitStopped{};
    if (channel_closed_at_ && ticks_ - *channel_closed_at_ > kTicksToEndAfterClosing) {
      return ProgramBroken{Unavailable(options_.title + " has closed its channel, but goes on running")};
    }
    if (idle_ticks_ >= TicksOf(options_.stall_timeout)) {
      return ProgramStalled{"has made no progress for " + HumanSeconds(options_.stall_timeout.count()) +
                            " (no message, no processor time, nothing read or written); " + lines_.Report()};
    }
    Poll(-1);
  }
}

std::optional<ProgramEvent> ChildProgram::NextMessage() {
  if (channel_closed_at_) return std::nullopt;
  auto received = channel_->Receive();
  if (received.has_value()) {
    if (!received->has_value()) return std::nullopt;
    return **std::move(received);
  }
  if (received.error().kind() != ErrorKind::kUnavailable) return ProgramBroken{received.error()};
  channel_closed_at_ = ticks_;
  return std::nullopt;
}

// One round of waiting: till something comes, a tick at most; with a timeout of 0, takes what is there.
void ChildProgram::Poll(int timeout_ms) {
  const bool reads_channel = channel_.has_value() && !channel_closed_at_;
  const short channel_events = reads_channel && channel_->sending() ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 4> waiting = {{{timer_.get(), POLLIN, 0},
                                    {supervisor_.get(), POLLIN, 0},
                                    {output_.get(), POLLIN, 0},
                                    {reads_channel ? channel_->fd() : -1, channel_events, 0}}};
  if (::poll(waiting.data(), waiting.size(), timeout_ms) < 0) return;
  if (waiting[3].revents != 0) {
    idle_ticks_ = 0;
    // A peer that has closed is noticed by the next Receive, after what it had sent.
    if (channel_->sending()) static_cast<void>(channel_->Flush().has_value());
  }
  if (waiting[2].revents != 0) ReadOutput();
  if (waiting[1].revents != 0) ReadReport();
  if (waiting[0].revents != 0) OnTick();
}

void ChildProgram::OnTick() {
  std::uint64_t passed = 0;
  if (::read(timer_.get(), &passed, sizeof(passed)) != static_cast<ssize_t>(sizeof(passed))) return;
  ticks_ += passed;
  lines_.Refill();
  ticks_to_check_ += passed;
  const std::uint64_t check_ticks = std::max<std::uint64_t>(1, TicksOf(options_.stall_timeout) / kChecksPerStall);
  if (ticks_to_check_ < check_ticks) return;
  if (Stalls()) {
    // However late we are (a suspended machine), one look is one interval.
    idle_ticks_ += check_ticks;
  } else {
    idle_ticks_ = 0;
  }
  ticks_to_check_ = 0;
}

// Nothing was done since the last look.
bool ChildProgram::Stalls() {
  const ProcessActivity now = options_.activity(supervisor_process_);
  const auto before = std::exchange(activity_, now);
  if (!before.has_value()) return false;
  const double idle_ticks_max =
      kIdleShare * static_cast<double>(ticks_to_check_) * kTick.count() * static_cast<double>(::sysconf(_SC_CLK_TCK));
  const bool worked =
      now.cpu_ticks < before->cpu_ticks || static_cast<double>(now.cpu_ticks - before->cpu_ticks) > idle_ticks_max;
  return !worked && now.io_bytes == before->io_bytes;
}

void ChildProgram::ReadOutput() {
  std::array<char, 65536> bytes;
  // As much as a full pipe has, so that a program that prints without end does not keep us here.
  for (int pieces = 0; output_.is_open() && pieces <= kOutputBytesMax / 65536; ++pieces) {
    const ssize_t got = ::read(output_.get(), bytes.data(), bytes.size());
    if (got > 0) {
      lines_.Feed({bytes.data(), static_cast<std::size_t>(got)});
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) output_.Close();
    return;
  }
}

void ChildProgram::ReadReport() {
  SupervisorReport report;
  const ssize_t got = ::recv(supervisor_.get(), &report, sizeof(report), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (got != static_cast<ssize_t>(sizeof(report))) {
    supervisor_lost_ = true;
    running_ = false;
    return;
  }
  if (report.kind != SupervisorReport::kEnded) return;
  end_status_ = report.value;
  running_ = false;
}

std::string ChildProgram::DescribeEnd() const {
  return (supervisor_lost_ ? "was lost, since its supervisor was killed" : DescribeStatus(end_status_)) + "; " +
         lines_.Report();
}

std::chrono::duration<double> ChildProgram::waited() const { return static_cast<double>(ticks_) * kTick; }

bool ChildProgram::WaitForEnd(std::chrono::duration<double> patience) {
  const std::uint64_t end = ticks_ + TicksOf(patience);
  while (running_ && ticks_ < end) {
    const ProgramEvent event = Wait([&] { return ticks_ >= end; });
    if (std::holds_alternative<ProgramBroken>(event)) channel_closed_at_ = ticks_;
  }
  return !running_;
}

void ChildProgram::Signal(int signal) {
  if (running_) static_cast<void>(SendOrder(supervisor_.get(), {SupervisorOrder::kSignal, signal}).has_value());
}

void ChildProgram::Kill() {
  if (!running_) return;
  static_cast<void>(SendOrder(supervisor_.get(), {SupervisorOrder::kKill, 0}).has_value());
  if (!WaitForEnd(kKillPatience))
    LogError("{} (process {}) cannot be killed; it waits inside the kernel", title(), process_);
}

}  // namespace fed_learn
