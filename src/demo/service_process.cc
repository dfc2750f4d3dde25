#include "demo/service_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <utility>

namespace fed_learn {
namespace {

// Between fork and exec: only what is safe there.
[[noreturn]] void Become(char* const* arguments, int log, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(arguments[0], arguments);
  _exit(127);
}

int ExitCodeOf(const siginfo_t& end) { return end.si_code == CLD_EXITED ? end.si_status : 128 + end.si_status; }

}  // namespace

Result<std::unique_ptr<ServiceProcess>> ServiceProcess::Start(ServiceProcessOptions options, Loop& loop,
                                                              std::function<void(int)> on_exit) {
  const int log = open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return Internal(fmt::format("{}: cannot be written: {}", options.log_file, std::strerror(errno)));
  std::array<int, 2> ready = {-1, -1};
  if (options.tells_when_ready) {
    // The write end is inherited on purpose; everything else here is closed at exec.
    if (pipe2(ready.data(), 0) != 0) return Internal(fmt::format("no pipe: {}", std::strerror(errno)));
    fcntl(ready[0], F_SETFD, FD_CLOEXEC);
    options.command.insert(options.command.end(), {"--ready-fd", std::to_string(ready[1])});
  }
  std::vector<char*> arguments;
  for (std::string& argument : options.command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t process = fork();
  if (process == 0) Become(arguments.data(), log, parent);
  close(log);
  if (ready[1] >= 0) close(ready[1]);
  if (process < 0) return Internal(fmt::format("no process could be started: {}", std::strerror(errno)));

  std::unique_ptr<ServiceProcess> service(new ServiceProcess(process));
  service->ready_ = ready[0];
  service->waiter_ = std::thread([process, &loop, wanted = service->wanted_, on_exit = std::move(on_exit)] {
    // The process stays a zombie until the destructor, so that its number is nobody else's meanwhile.
    siginfo_t end{};
    while (waitid(P_PID, static_cast<id_t>(process), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    loop.Post([wanted, on_exit, code = ExitCodeOf(end)] {
      if (*wanted) on_exit(code);
    });
  });
  return service;
}

ServiceProcess::~ServiceProcess() {
  *wanted_ = false;
  kill(process_, SIGKILL);
  waiter_.join();
  waitpid(process_, nullptr, 0);
  if (ready_ >= 0) close(ready_);
}

Result<std::string> ServiceProcess::Ready() {
  std::string line;
  char next = 0;
  ssize_t got = 0;
  while ((got = read(ready_, &next, 1)) == 1 && next != '\n') line += next;
  if (got == 1) return line;
  return Unavailable("the program ended before it was ready");
}

void ServiceProcess::Signal(int signal) { kill(process_, signal); }

std::string LastLines(const std::string& path, int lines) {
  std::ifstream file(path);
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    last.push_back("  " + line);
    if (static_cast<int>(last.size()) > lines) last.pop_front();
  }
  return fmt::format("{}", fmt::join(last, "\n"));
}

}  // namespace fed_learn
