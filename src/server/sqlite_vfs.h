// SqliteVfs: SQLite's files on a Disk, so that the very same SQLite code runs on the real disk and on the one that
// forgets what was not synced.
//
// Every page of a database carries a checksum of its contents and number in bytes that SQLite reserves for that, and a
// page that does not fit it is not given to SQLite: a flipped bit is an error, never a wrong record.
//
// There are no file locks and no shared memory: one process holds the folder (Disk::Lock), and a database is used with
// locking_mode=EXCLUSIVE. Times are constant, temporary files are refused (temp_store=MEMORY). Registering and
// unregistering is thread-safe; one instance is used from one thread.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>

#include "base/disk.h"
#include "base/result.h"

namespace fed_learn {

class SqliteVfs {
 public:
  static constexpr int kPageBytes = 4096;   // of databases made here
  static constexpr int kReservedBytes = 8;  // of a page: CRC-32C and page number

  // Registers it with SQLite under a name of its own. `disk` outlives it.
  static Result<std::unique_ptr<SqliteVfs>> Register(Disk& disk);

  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;

  // REQUIRES: every database that was opened by it is closed.
  ~SqliteVfs();

  const char* name() const { return name_.c_str(); }

  // The last thing that went wrong on the disk since the last call; SQLite itself only says that something did.
  std::optional<Error> TakeError();

 private:
  struct Calls;  // what SQLite calls

  explicit SqliteVfs(Disk& disk);

  Disk& disk_;
  std::string name_;
  sqlite3_vfs vfs_{};
  std::optional<Error> error_;
};

}  // namespace fed_learn
