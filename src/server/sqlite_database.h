// SqliteDatabase: one SQLite file on a Disk, in WAL mode with every commit synced, used by one process.
//
// Not thread-safe. Errors name the file: DataLoss if it is damaged, FailedPrecondition if it is no database of
// fed_learn's, Internal if the disk fails or is full.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "server/sqlite_vfs.h"

namespace fed_learn {

class SqliteDatabase;

// A prepared statement. REQUIRES: destroyed before its database; indices are within the statement.
class SqliteStatement {
 public:
  // Values for ?1, ?2, …, copied.
  template <typename... Values>
  void Bind(const Values&... values) {
    int index = 0;
    (BindAt(++index, values), ...);
  }

  // true: there is a row, whose columns (from 0) can be read until the next Step.
  Result<bool> Step();

  // Steps to the end.
  Status Run();

  std::int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  SqliteStatement(SqliteDatabase& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  void BindAt(int index, std::int64_t value);
  void BindAt(int index, int value) { BindAt(index, std::int64_t{value}); }
  void BindAt(int index, double value);
  void BindAt(int index, std::string_view value);

  SqliteDatabase& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteDatabase {
 public:
  // Opens or makes the file. One that is there is checked from end to end.
  static Result<std::unique_ptr<SqliteDatabase>> Open(Disk& disk, std::string path);

  // One or more statements without results.
  Status Run(const char* sql);

  Result<SqliteStatement> Prepare(std::string_view sql);

  // The value of a query with one whole number for an answer.
  Result<std::int64_t> QueryInt(std::string_view sql);

  // What `code` (from SQLite) means for the user, with what the disk had to say.
  Error Wrong(int code);

  // What the disk had to say of earlier calls is not told of later ones.
  void ForgetError() { (void)vfs_->TakeError(); }

  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };

  SqliteDatabase(std::unique_ptr<SqliteVfs> vfs, std::string path) : vfs_(std::move(vfs)), path_(std::move(path)) {}
  Status Configure();
  Status Check();

  std::unique_ptr<SqliteVfs> vfs_;  // outlives the handle
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// A transaction that is undone unless committed.
class SqliteTransaction {
 public:
  static Result<SqliteTransaction> Begin(SqliteDatabase& database);
  SqliteTransaction(SqliteTransaction&& other) noexcept;
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();

  // Durable on return.
  Status Commit();

 private:
  explicit SqliteTransaction(SqliteDatabase& database) : database_(&database) {}
  SqliteDatabase* database_;  // null: committed or moved away
};

}  // namespace fed_learn
