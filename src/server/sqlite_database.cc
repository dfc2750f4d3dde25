#include "server/sqlite_database.h"

#include <fmt/format.h>

#include <utility>

namespace fed_learn {

Result<bool> SqliteStatement::Step() {
  database_.ForgetError();
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_.Wrong(code);
}

Status SqliteStatement::Run() {
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, Step());
    if (!more) return {};
  }
}

std::int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double SqliteStatement::Real(int column) const { return sqlite3_column_double(statement_.get(), column); }

std::string SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return "";
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void SqliteStatement::BindAt(int index, std::int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }
void SqliteStatement::BindAt(int index, double value) { sqlite3_bind_double(statement_.get(), index, value); }
void SqliteStatement::BindAt(int index, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(Disk& disk, std::string path) {
  ASSIGN_OR_RETURN(auto vfs, SqliteVfs::Register(disk));
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(std::move(vfs), std::move(path)));
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(database->path_.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, database->vfs_->name());
  database->handle_.reset(handle);
  if (code != SQLITE_OK) return database->Wrong(code);
  RETURN_IF_ERROR(database->Configure());
  RETURN_IF_ERROR(database->Check());
  return database;
}

Status SqliteDatabase::Configure() {
  sqlite3_extended_result_codes(handle_.get(), 1);
  int reserved = SqliteVfs::kReservedBytes;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  // Without shared memory a log needs exclusive locking, set before the log is first used. After each commit the log is
  // copied into the database, so that a damaged log never is the only copy of what was acknowledged.
  RETURN_IF_ERROR(
      Run("PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
          "PRAGMA wal_autocheckpoint=1; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
          "PRAGMA cell_size_check=ON"));
  int in_use = -1;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &in_use);
  ASSIGN_OR_RETURN(const std::int64_t page_bytes, QueryInt("PRAGMA page_size"));
  if (in_use == SqliteVfs::kReservedBytes && page_bytes == SqliteVfs::kPageBytes) return {};
  return FailedPrecondition(path_ + " was not made by fed_learn; move it away, or choose another folder");
}

Status SqliteDatabase::Check() {
  ASSIGN_OR_RETURN(SqliteStatement check, Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool answered, check.Step());
  if (answered && check.Text(0) == "ok") return {};
  return Wrong(SQLITE_CORRUPT).In(check.Text(0));
}

Status SqliteDatabase::Run(const char* sql) {
  ForgetError();
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : Wrong(code);
}

Result<SqliteStatement> SqliteDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return Wrong(code);
  return SqliteStatement(*this, statement);
}

Result<std::int64_t> SqliteDatabase::QueryInt(std::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement query, Prepare(sql));
  ASSIGN_OR_RETURN(const bool answered, query.Step());
  if (!answered) return Internal(path_ + ": no answer to " + std::string(sql));
  return query.Int(0);
}

Error SqliteDatabase::Wrong(int code) {
  const std::optional<Error> disk = vfs_->TakeError();
  const std::string why = disk ? disk->message() : sqlite3_errmsg(handle_.get());
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss(
          fmt::format("{} is damaged ({}); put back a copy of it from a backup, or move the folder away and begin anew",
                      path_, why));
    case SQLITE_FULL:
      return Internal(fmt::format("{}: the disk is full ({}); make room", path_, why));
    case SQLITE_CONSTRAINT:
      return FailedPrecondition(fmt::format("{}: {}", path_, why));
    case SQLITE_TOOBIG:
      return ResourceExhausted(fmt::format("{}: {}", path_, why));
    default:
      return disk ? disk->In(path_) : Internal(fmt::format("{}: {} (SQLite {})", path_, why, code));
  }
}

Result<SqliteTransaction> SqliteTransaction::Begin(SqliteDatabase& database) {
  RETURN_IF_ERROR(database.Run("BEGIN IMMEDIATE"));
  return SqliteTransaction(database);
}

SqliteTransaction::SqliteTransaction(SqliteTransaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

SqliteTransaction::~SqliteTransaction() {
  // An error of the rollback adds nothing: what could fail here has failed before, and SQLite has rolled back by
  // itself.
  if (database_ != nullptr) (void)database_->Run("ROLLBACK");
}

Status SqliteTransaction::Commit() {
  RETURN_IF_ERROR(database_->Run("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace fed_learn
