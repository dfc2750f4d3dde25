#include "transport/local/process_activity.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace fed_learn {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct ProcessStat {
  pid_t parent = 0;
  std::uint64_t cpu_ticks = 0;
};

// The command's name stands in parentheses and may contain any character, so the fields are counted from the last ')'.
std::optional<ProcessStat> ReadStat(const std::string& folder) {
  const std::string text = ReadAll(folder + "/stat");
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStat stat;
  char state = 0;
  fields >> state >> stat.parent;
  std::string skipped;
  for (int i = 0; i < 9; ++i) fields >> skipped;
  for (int i = 0; i < 4; ++i) {
    std::uint64_t ticks = 0;  // utime, stime, cutime, cstime
    fields >> ticks;
    stat.cpu_ticks += ticks;
  }
  if (!fields) return std::nullopt;
  return stat;
}

std::uint64_t ReadIo(const std::string& folder) {
  std::istringstream lines(ReadAll(folder + "/io"));
  std::uint64_t sum = 0;
  std::string key;
  std::uint64_t value = 0;
  while (lines >> key >> value) {
    if (key == "rchar:" || key == "wchar:" || key == "read_bytes:" || key == "write_bytes:") sum += value;
  }
  return sum;
}

std::map<pid_t, ProcessStat> AllProcesses() {
  std::map<pid_t, ProcessStat> all;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t process = 0;
    const auto [rest, parsed] = std::from_chars(name.data(), name.data() + name.size(), process);
    if (parsed != std::errc() || rest != name.data() + name.size()) continue;
    if (const auto stat = ReadStat("/proc/" + name)) all[process] = *stat;
  }
  return all;
}

bool DescendsFrom(pid_t process, pid_t ancestor, const std::map<pid_t, ProcessStat>& all) {
  // Processes come and go while they are read, so a cycle cannot be ruled out.
  for (std::size_t steps = 0; steps < all.size(); ++steps) {
    const auto found = all.find(process);
    if (found == all.end()) return false;
    process = found->second.parent;
    if (process == ancestor) return true;
  }
  return false;
}

}  // namespace

ProcessActivity ActivityOfDescendants(pid_t ancestor) {
  const auto all = AllProcesses();
  ProcessActivity sum;
  for (const auto& [process, stat] : all) {
    if (!DescendsFrom(process, ancestor, all)) continue;
    sum.cpu_ticks += stat.cpu_ticks;
    sum.io_bytes += ReadIo("/proc/" + std::to_string(process));
  }
  return sum;
}

}  // namespace fed_learn
