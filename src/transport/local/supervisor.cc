#include "transport/local/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace fed_learn {
namespace {

void CloseFrom(unsigned first) {
  if (::close_range(first, ~0u, 0) == 0) return;
  for (int number = static_cast<int>(first); number < 65536; ++number) ::close(number);  // a kernel before 5.9
}

void RestoreSignals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorPlan& plan) : plan_(plan) {}

  [[noreturn]] void Run() {
    Prepare();
    while (true) {
      std::array<pollfd, 2> waiting = {{{plan_.socket, POLLIN, 0}, {children_, POLLIN, 0}}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
      if (waiting[1].revents != 0) Reap();
      if (waiting[0].revents != 0) Obey();
    }
  }

 private:
  // Away from the terminal's signals, without what we had open, unreadable to other processes of the user: the memory
  // is a copy of ours.
  void Prepare() {
    ::setsid();
    ::prctl(PR_SET_NAME, "fedlearn-watch");
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2}) ::signal(signal, SIG_IGN);
    const int nothing = ::open("/dev/null", O_RDWR);
    const int socket = ::fcntl(plan_.socket, F_DUPFD, 4);
    for (int number = 0; number < 3; ++number) ::dup2(nothing, number);
    plan_.socket = ::dup2(socket, 3);
    CloseFrom(4);
    ::fcntl(plan_.socket, F_SETFD, FD_CLOEXEC);
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &child, nullptr);
    children_ = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (plan_.socket < 0 || children_ < 0) ::_exit(1);
  }

  void Obey() {
    SupervisorOrder order;
    std::array<int, 2> descriptors = {-1, -1};
    if (!ReadOrder(order, descriptors)) {
      KillAll();
      ::_exit(0);
    }
    if (order.kind == SupervisorOrder::kStart) Start(descriptors[0], descriptors[1]);
    if (order.kind == SupervisorOrder::kSignal && program_ > 0) ::kill(-program_, order.signal);
    if (order.kind == SupervisorOrder::kKill) KillAll();
    for (const int number : descriptors) {
      if (number >= 0) ::close(number);
    }
  }

  bool ReadOrder(SupervisorOrder& order, std::array<int, 2>& descriptors) const {
    iovec piece{&order, sizeof(order)};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(descriptors))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
      got = ::recvmsg(plan_.socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof(order))) return false;
    const cmsghdr* attached = CMSG_FIRSTHDR(&message);
    if (attached != nullptr && attached->cmsg_len == CMSG_LEN(sizeof(descriptors))) {
      std::memcpy(descriptors.data(), CMSG_DATA(attached), sizeof(descriptors));
    }
    return true;
  }

  void Report(SupervisorReport report) const { ::send(plan_.socket, &report, sizeof(report), MSG_NOSIGNAL); }

  void Start(int channel, int output) {
    std::array<int, 2> failure;  // says what failed, or closes at exec
    if (::pipe2(failure.data(), O_CLOEXEC) != 0) return ReportNotStarted(errno, SupervisorReport::kFork);
    const pid_t supervisor = ::getpid();
    const pid_t program = ::fork();
    if (program == 0) Become(supervisor, channel, output, failure[1]);
    const int fork_error = errno;
    ::close(failure[1]);
    std::array<std::int32_t, 2> why{};
    const bool failed = program > 0 && ::read(failure[0], why.data(), sizeof(why)) == static_cast<ssize_t>(sizeof(why));
    ::close(failure[0]);
    if (program < 0) return ReportNotStarted(fork_error, SupervisorReport::kFork);
    if (failed) {
      ::waitpid(program, nullptr, 0);
      return ReportNotStarted(why[0], static_cast<SupervisorReport::Stage>(why[1]));
    }
    program_ = program;
    Report({SupervisorReport::kStarted, program, 0});
  }

  void ReportNotStarted(int error_number, SupervisorReport::Stage stage) const {
    Report({SupervisorReport::kNotStarted, error_number, stage});
  }

  [[noreturn]] void Become(pid_t supervisor, int channel, int output, int failure) const {
    const auto fail = [failure](std::int32_t stage) {
      const std::array<std::int32_t, 2> why = {errno, stage};
      static_cast<void>(!::write(failure, why.data(), sizeof(why)));
      ::_exit(127);
    };
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) ::_exit(127);
    RestoreSignals();
    if (plan_.folder != nullptr && ::chdir(plan_.folder) != 0) fail(SupervisorReport::kFolder);
    // Descriptors 0 to 3 are the supervisor's own, so nothing that is still needed lies there.
    ::dup2(output, 1);
    ::dup2(output, 2);
    ::dup2(channel, kChannelDescriptor);
    ::execve(plan_.path, plan_.arguments, plan_.environment);
    fail(SupervisorReport::kExec);
    ::_exit(127);
  }

  // SIGCHLD: the program, or something of its that became ours when its parent died.
  void Reap() {
    signalfd_siginfo ignored;
    while (::read(children_, &ignored, sizeof(ignored)) > 0) {
    }
    int status = 0;
    while (true) {
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      if (ended <= 0) return;
      if (ended == program_) Ended(status);
    }
  }

  void Ended(int status) {
    const pid_t group = program_;
    program_ = -1;
    KillLeftOvers(group);
    Report({SupervisorReport::kEnded, status, 0});
  }

  void KillAll() {
    const pid_t program = program_;
    if (program <= 0) return;
    ::kill(-program, SIGKILL);
    ::kill(program, SIGKILL);
    int status = 0;
    while (::waitpid(program, &status, 0) < 0 && errno == EINTR) {
    }
    Ended(status);
  }

  // Whatever loses its parent becomes our child, so killing children until there are none reaches everything.
  void KillLeftOvers(pid_t group) const {
    while (KillChildren()) {
      if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    }
    // A kernel without the list of children: what is in the program's group, and no waiting for the rest.
    ::kill(-group, SIGKILL);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  // False if the kernel does not say who they are. The file has process ids with a space after each.
  bool KillChildren() const {
    const int file = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::array<char, 4096> text;
    pid_t child = 0;
    ssize_t got = 0;
    while ((got = ::read(file, text.data(), text.size())) > 0) {
      for (ssize_t i = 0; i < got; ++i) {
        const char c = text[static_cast<std::size_t>(i)];
        if (c >= '0' && c <= '9') {
          child = child * 10 + (c - '0');
        } else if (child > 0) {
          ::kill(child, SIGKILL);
          child = 0;
        }
      }
    }
    ::close(file);
    return true;
  }

  SupervisorPlan plan_;
  int children_ = -1;
  pid_t program_ = -1;
};

}  // namespace

void RunSupervisor(const SupervisorPlan& plan) { Supervisor(plan).Run(); }

}  // namespace fed_learn
