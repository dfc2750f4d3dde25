// What a process has used: for reports. Linux only.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace fed_learn {

struct ProcessUsage {
  double cpu_seconds = 0;       // user and system, all threads
  std::uint64_t rss_bytes = 0;  // resident now
  std::uint64_t peak_rss_bytes = 0;
};

// Zeros for a process that is not there.
ProcessUsage UsageOf(pid_t process);
ProcessUsage UsageOfSelf();

}  // namespace fed_learn
