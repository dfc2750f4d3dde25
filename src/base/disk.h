// A Disk is the file system as fed_learn uses it, passed in so that tests can run on one that forgets what was not
// synced (SimulatedDisk) and production on the real one (PosixDisk).
//
// Paths are '/'-separated; a relative path is relative to the disk's root. Methods are safe from any thread; a File is
// used from one thread at a time. Every error names the path and what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fed_learn {

class File {
 public:
  virtual ~File() = default;  // closes; what was not synced may be lost in a crash

  // Reads exactly out.size() bytes. DataLoss if the file ends before.
  virtual Status ReadAt(std::uint64_t offset, std::span<std::byte> out) = 0;

  // Writes all of `bytes`, growing the file as needed.
  virtual Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  virtual Result<std::uint64_t> Size() = 0;
  virtual Status Truncate(std::uint64_t size) = 0;

  // After this the contents survive a crash. The *name* survives only after SyncFolder of its folder.
  virtual Status Sync() = 0;
};

enum class OpenMode {
  kRead,             // must exist
  kReadWrite,        // must exist
  kCreate,           // read and write; made if absent, kept if present
  kCreateExclusive,  // read and write; AlreadyExists if present
};

struct OpenOptions {
  OpenMode mode = OpenMode::kRead;
  // A new file is its owner's only (0600). One that is there must be so: PermissionDenied, with the `chmod` that mends
  // it, if its group or others may read or write it.
  bool secret = false;
  bool executable = false;  // a new file may be run (0755)
};

class Disk {
 public:
  virtual ~Disk() = default;

  virtual Result<std::unique_ptr<File>> Open(std::string_view path, OpenOptions options) = 0;
  virtual Result<bool> Exists(std::string_view path) = 0;

  // The new name replaces what was there, atomically. Survives a crash only after SyncFolder of the new folder.
  virtual Status Rename(std::string_view from, std::string_view to) = 0;
  virtual Status Remove(std::string_view path) = 0;                            // a file; NotFound if absent
  virtual Status MakeFolders(std::string_view path) = 0;                       // with parents, synced; fine if present
  virtual Result<std::vector<std::string>> List(std::string_view folder) = 0;  // names, sorted
  virtual Status SyncFolder(std::string_view folder) = 0;

  // One process (in a simulation: one node) may hold the folder; the lock goes with the returned object.
  // AlreadyExists, naming the owner, if it is held.
  virtual Result<std::shared_ptr<void>> Lock(std::string_view folder) = 0;
};

// Small whole files.
Result<std::string> ReadFile(Disk& disk, std::string_view path, std::uint64_t size_max);

// Writes under a temporary name (`path` + ".tmp"), syncs, renames, syncs the folder: after a crash there is the old
// file or the new one. One writer of a path at a time. After an error the old file is still there, unless only the last
// step failed: then which of the two a crash would leave is open.
Status WriteFileAtomically(Disk& disk, std::string_view path, std::span<const std::byte> bytes, bool secret = false);
Status WriteFileAtomically(Disk& disk, std::string_view path, std::string_view text, bool secret = false);

}  // namespace fed_learn
