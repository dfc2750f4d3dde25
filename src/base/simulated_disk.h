// SimulatedDisk: a Disk in memory that forgets in a crash what was not synced, as a careless machine would.
//
// One per simulated machine; it outlives the processes that use it. The same calls and the same Random give the same
// contents. Thread-safe, as every Disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/random.h"

namespace fed_learn {

class SimulatedDisk final : public Disk {
 public:
  SimulatedDisk();
  ~SimulatedDisk() override;

  // Paths are taken from one root; "/a", "a" and "./a" are the same file. ".." is refused. Only files are renamed.
  Result<std::unique_ptr<File>> Open(std::string_view path, OpenOptions options) override;
  Result<bool> Exists(std::string_view path) override;
  Status Rename(std::string_view from, std::string_view to) override;
  Status Remove(std::string_view path) override;
  Status MakeFolders(std::string_view path) override;
  Result<std::vector<std::string>> List(std::string_view folder) override;
  Status SyncFolder(std::string_view folder) override;
  Result<std::shared_ptr<void>> Lock(std::string_view folder) override;

  // The power fails and comes back. Of the writes since a file's last Sync, each is kept, cut short or lost; of the
  // names made, changed or removed since their folder's last SyncFolder, the first few (all, or none) are kept, in the
  // order in which it was done. Open files fail from now on, locks are free, and what was injected below is over.
  void Crash(Random& random);

  // The process that used the disk is gone and the machine goes on: nothing is lost, open files fail from now on, locks
  // are free.
  void KillProcess();

  // After `bytes` more have been written, the disk is full (the write that meets the limit is done in part). nullopt:
  // there is room again.
  void FailAfterBytes(std::optional<std::uint64_t> bytes);

  // The next Sync or SyncFolder fails, once. As on Linux, what that Sync of a file should have made safe is then never
  // safe, even if a later Sync succeeds.
  void FailNextSync();

  // The power fails in the middle: `operations` more calls that change something are done; after them every call fails
  // until Crash.
  void StopAfter(std::uint64_t operations);

 private:
  struct State;
  class OpenFile;
  class HeldLock;
  std::shared_ptr<State> state_;  // also of its open files and locks, which may outlive it
};

}  // namespace fed_learn
