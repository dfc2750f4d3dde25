#include "benchmarks/federation/process_usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace fed_learn {
namespace {

double CpuSecondsOf(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The name in the second field may have spaces; what is wanted are the 12th and 13th field after it.
  std::istringstream fields(line.substr(line.find_last_of(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessUsage UsageOf(pid_t process) {
  ProcessUsage usage;
  usage.cpu_seconds = CpuSecondsOf(process);
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    std::istringstream fields(line);
    std::string key;
    std::uint64_t kilobytes = 0;
    fields >> key >> kilobytes;
    if (key == "VmHWM:") usage.peak_rss_bytes = kilobytes << 10;
    if (key == "VmRSS:") usage.rss_bytes = kilobytes << 10;
  }
  return usage;
}

ProcessUsage UsageOfSelf() { return UsageOf(getpid()); }

}  // namespace fed_learn
