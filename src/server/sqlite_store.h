// The Store in a SQLite file, "store.db" in a folder of its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "server/store.h"

namespace fed_learn {

struct SqliteStoreOptions {
  // Where the folder is for the operating system, on a real disk: a network file system is then refused, with the
  // reason. Empty on a simulated one.
  std::string system_path;
};

// Opens the store in `folder` of `disk`, which outlives it; makes both if they are absent, and brings a file of an
// older fed_learn up to date. Holds the folder's lock. AlreadyExists if another process has the folder; DataLoss if the
// file is damaged; FailedPrecondition if it is not fed_learn's, of a newer one, or on a network file system.
Result<std::unique_ptr<Store>> OpenSqliteStore(Disk& disk, std::string_view folder,
                                               const SqliteStoreOptions& options = {});

}  // namespace fed_learn
