// Whether a folder lies on another machine. SQLite relies on locks and shared memory that network file systems do not
// keep, so the store refuses such a folder instead of losing rounds.
//
// Safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fed_learn {

// The name of the network file system ("NFS") with this `f_type` of statfs(2), or empty for any other. A FUSE file
// system is told by `mount_type`, as /proc/self/mountinfo has it ("fuse.sshfs").
std::string NetworkFileSystemName(std::uint64_t f_type, std::string_view mount_type);

// FailedPrecondition, with the reason and what to do, if `path` (or, while it does not exist, its nearest parent that
// does) lies on a network file system. Success where this cannot be found out.
Status RequireLocalFileSystem(std::string_view path);

}  // namespace fed_learn
