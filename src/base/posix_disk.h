// PosixDisk: the Disk of the machine.
//
// Thread-safe, as every Disk; a File is used from one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"

namespace fed_learn {

class PosixDisk final : public Disk {
 public:
  // Relative paths are relative to the folder `root`, which need not exist yet (MakeFolders(".") makes it); an empty
  // root is the working folder. Absolute paths are taken as they are.
  explicit PosixDisk(std::string root);

  Result<std::unique_ptr<File>> Open(std::string_view path, OpenOptions options) override;
  Result<bool> Exists(std::string_view path) override;
  Status Rename(std::string_view from, std::string_view to) override;
  Status Remove(std::string_view path) override;
  Status MakeFolders(std::string_view path) override;
  Result<std::vector<std::string>> List(std::string_view folder) override;
  Status SyncFolder(std::string_view folder) override;

  // Holds an flock on the file ".lock" in `folder`, which names the process that holds it. The kernel lets go of it
  // when the process ends, however it ends.
  Result<std::shared_ptr<void>> Lock(std::string_view folder) override;

 private:
  Result<std::string> FullPath(std::string_view path) const;

  std::string root_;
};

}  // namespace fed_learn
