// Zip archives, made in memory.
#pragma once

#include <span>
#include <string>

#include "base/loop.h"
#include "base/result.h"

namespace fed_learn {

struct ArchiveEntry {
  std::string path;  // '/'-separated, relative
  std::string bytes;
  unsigned mode = 0644;  // permissions of the file once unpacked
};

// The bytes of a zip of the entries, in their order, each dated `time` and with its permissions as `unzip` restores
// them.
Result<std::string> MakeArchive(std::span<const ArchiveEntry> entries, WallTime time);

}  // namespace fed_learn
