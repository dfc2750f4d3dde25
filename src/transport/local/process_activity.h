// What a family of processes has done so far, as /proc counts it. Whether a program hangs is judged by whether this
// goes on, not by how long it takes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace fed_learn {

struct ProcessActivity {
  std::uint64_t cpu_ticks = 0;  // of _SC_CLK_TCK, user and system, with children that have been waited for
  std::uint64_t io_bytes = 0;   // read and written, also from caches and pipes
  friend bool operator==(const ProcessActivity&, const ProcessActivity&) = default;
};

// Summed over all descendants of `ancestor`, without itself. What cannot be read counts as nothing.
ProcessActivity ActivityOfDescendants(pid_t ancestor);

using ActivityReader = std::function<ProcessActivity(pid_t)>;

}  // namespace fed_learn
