// The supervisor: a small process between ours and a user's program, so that nothing of the program survives us. It is
// forked, never exec'd, and starts the program when told. It is the reaper of everything the program starts, also of
// what was put into a session of its own; when our end of its socket closes (we ended, in whatever way), or the program
// ends, it kills all of that.
//
// Not covered: the supervisor itself killed with SIGKILL. Then the program dies with it, what the program started may
// not.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fed_learn {

// Ours → supervisor. kStart comes with two descriptors: the channel's and the one for standard output and error.
struct SupervisorOrder {
  enum Kind : std::uint32_t { kStart, kSignal, kKill };
  std::uint32_t kind = kStart;
  std::int32_t signal = 0;  // kSignal: sent to the program's process group
};

// Supervisor → ours.
struct SupervisorReport {
  enum Kind : std::uint32_t {
    kStarted,     // value: the program's process id
    kNotStarted,  // value: errno; stage: what failed
    kEnded,       // value: the status as of waitpid; everything the program had started is gone, too
  };
  enum Stage : std::uint32_t { kFork, kFolder, kExec };
  std::uint32_t kind = kStarted;
  std::int32_t value = 0;
  std::uint32_t stage = kFork;
};
static_assert(std::is_trivially_copyable_v<SupervisorOrder> && std::is_trivially_copyable_v<SupervisorReport>);

// What a program finds its channel at.
inline constexpr int kChannelDescriptor = 3;

// All of it made before the fork, since little may be called after one.
struct SupervisorPlan {
  const char* path = nullptr;        // of the program, found
  char* const* arguments = nullptr;  // with the program's name, ended by null
  char* const* environment = nullptr;
  const char* folder = nullptr;  // where the program starts; null: where we are
  int socket = -1;               // SOCK_SEQPACKET
};

// The supervisor's life, in the forked child. Calls only what may be called between fork and exec.
[[noreturn]] void RunSupervisor(const SupervisorPlan& plan);

}  // namespace fed_learn
