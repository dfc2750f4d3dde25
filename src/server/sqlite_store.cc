#include "server/sqlite_store.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/network_file_system.h"
#include "server/sqlite_database.h"
#include "server/store_rules.h"

namespace fed_learn {
namespace {

constexpr std::int64_t kApplicationId = 0x66656c6e;  // "feln", in the file's header

// A step from one version of the tables to the next. Steps are only ever added.
struct Migration {
  std::string_view name;
  const char* sql;
};

constexpr std::array<Migration, 1> kMigrations = {{
    {"runs, rounds, sites, audit",
     "CREATE TABLE runs (run INTEGER PRIMARY KEY, task_name TEXT NOT NULL, config_sha256 TEXT NOT NULL,"
     "  state TEXT NOT NULL, why TEXT NOT NULL) STRICT;"
     "CREATE TABLE rounds (run INTEGER NOT NULL, round INTEGER NOT NULL, model_id TEXT NOT NULL,"
     "  state_id TEXT NOT NULL, sites TEXT NOT NULL, metrics TEXT NOT NULL, seconds REAL NOT NULL,"
     "  PRIMARY KEY (run, round)) STRICT;"
     "CREATE TABLE sites (site TEXT PRIMARY KEY, token TEXT NOT NULL, registered INTEGER NOT NULL) STRICT;"
     "CREATE TABLE audit (line INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL) STRICT;"},
}};

constexpr std::int64_t kVersion = kMigrations.size();

Status RequireOurs(SqliteDatabase& database) {
  ASSIGN_OR_RETURN(const std::int64_t tables, database.QueryInt("SELECT count(*) FROM sqlite_schema"));
  ASSIGN_OR_RETURN(const std::int64_t id, database.QueryInt("PRAGMA application_id"));
  if (tables == 0 || id == kApplicationId) return {};
  return FailedPrecondition(database.path() + " was not made by fed_learn; move it away, or choose another folder");
}

// Brings the tables up to date, in one transaction.
Status Migrate(SqliteDatabase& database) {
  RETURN_IF_ERROR(RequireOurs(database));
  ASSIGN_OR_RETURN(const std::int64_t version, database.QueryInt("PRAGMA user_version"));
  if (version == kVersion) return {};
  if (version > kVersion) {
    return FailedPrecondition(
        fmt::format("{} is of a newer fed_learn (version {} of its tables; this one knows {}); use that one",
                    database.path(), version, kVersion));
  }
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(database));
  RETURN_IF_ERROR(
      database.Run("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"));
  for (std::int64_t next = version + 1; next <= kVersion; ++next) {
    const Migration& migration = kMigrations.at(static_cast<std::size_t>(next - 1));
    RETURN_IF_ERROR(database.Run(migration.sql));
    ASSIGN_OR_RETURN(SqliteStatement insert, database.Prepare("INSERT INTO migrations VALUES (?1, ?2)"));
    insert.Bind(next, migration.name);
    RETURN_IF_ERROR(insert.Run());
  }
  RETURN_IF_ERROR(
      database.Run(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, kVersion).c_str()));
  return transaction.Commit();
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::shared_ptr<void> lock, std::unique_ptr<SqliteDatabase> database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  Result<std::optional<RunRecord>> FindRun(std::int64_t run) override {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     database_->Prepare("SELECT task_name, config_sha256, state, why FROM runs WHERE run = ?1"));
    query.Bind(run);
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return std::optional<RunRecord>();
    const auto state = RunStateFromString(query.Text(2));
    if (!state) return DataLoss(fmt::format("{}: run {} has no valid state", database_->path(), run));
    return std::optional(RunRecord{
        .run = run, .task_name = query.Text(0), .config_sha256 = query.Text(1), .state = *state, .why = query.Text(3)});
  }

  Status RecordRun(const RunRecord& run) override {
    ASSIGN_OR_RETURN(SqliteStatement insert,
                     database_->Prepare("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5)"));
    insert.Bind(run.run, run.task_name, run.config_sha256, ToString(run.state), run.why);
    return insert.Run();
  }

  Status RecordRound(const RoundRecord& round) override {
    ASSIGN_OR_RETURN(const std::string sites, RecordText(round.sites));
    ASSIGN_OR_RETURN(const std::string metrics, RecordText(round.metrics));
    ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*database_));
    ASSIGN_OR_RETURN(const auto last, LastRound(round.run));
    RETURN_IF_ERROR(CheckRound(round, last));
    ASSIGN_OR_RETURN(SqliteStatement insert,
                     database_->Prepare("INSERT INTO rounds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
    insert.Bind(round.run, round.round, round.model_id, round.state_id, sites, metrics, round.seconds);
    RETURN_IF_ERROR(insert.Run());
    return transaction.Commit();
  }

  Result<std::optional<RoundRecord>> LastRound(std::int64_t run) override {
    ASSIGN_OR_RETURN(auto rounds, SelectRounds(run, "ORDER BY round DESC LIMIT 1"));
    if (rounds.empty()) return std::optional<RoundRecord>();
    return std::optional(std::move(rounds.front()));
  }

  Result<std::vector<RoundRecord>> Rounds(std::int64_t run) override { return SelectRounds(run, "ORDER BY round"); }

  Status RecordSite(const SiteRecord& site) override {
    ASSIGN_OR_RETURN(SqliteStatement insert, database_->Prepare("INSERT OR REPLACE INTO sites VALUES (?1, ?2, ?3)"));
    insert.Bind(site.site, site.token, site.registered);
    return insert.Run();
  }

  Result<std::vector<SiteRecord>> Sites() override {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     database_->Prepare("SELECT site, token, registered FROM sites ORDER BY registered, site"));
    std::vector<SiteRecord> sites;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) return sites;
      sites.push_back({.site = query.Text(0), .token = query.Text(1), .registered = query.Int(2)});
    }
  }

  Status RecordAudit(std::string_view when, std::string_view who, std::string_view what) override {
    ASSIGN_OR_RETURN(SqliteStatement insert,
                     database_->Prepare("INSERT INTO audit (at, who, what) VALUES (?1, ?2, ?3)"));
    insert.Bind(when, who, what);
    return insert.Run();
  }

  Result<std::vector<AuditRecord>> Audit() override {
    ASSIGN_OR_RETURN(SqliteStatement query, database_->Prepare("SELECT at, who, what FROM audit ORDER BY line"));
    std::vector<AuditRecord> lines;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) return lines;
      lines.push_back({.when = query.Text(0), .who = query.Text(1), .what = query.Text(2)});
    }
  }

 private:
  Result<std::vector<RoundRecord>> SelectRounds(std::int64_t run, std::string_view order) {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     database_->Prepare(fmt::format("SELECT round, model_id, state_id, sites, metrics, seconds"
                                                    " FROM rounds WHERE run = ?1 {}",
                                                    order)));
    query.Bind(run);
    std::vector<RoundRecord> rounds;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) return rounds;
      ASSIGN_OR_RETURN(rounds.emplace_back(), ReadRound(run, query));
    }
  }

  Result<RoundRecord> ReadRound(std::int64_t run, const SqliteStatement& row) {
    RoundRecord round{.run = run,
                      .round = static_cast<int>(row.Int(0)),
                      .model_id = row.Text(1),
                      .state_id = row.Text(2),
                      .sites = {},
                      .metrics = {},
                      .seconds = row.Real(5)};
    const std::string where = fmt::format("{}: round {} of run {}", database_->path(), round.round, run);
    ASSIGN_OR_RETURN(const Json sites, ParseJson(row.Text(3), where));
    ASSIGN_OR_RETURN(round.metrics, ParseJson(row.Text(4), where));
    for (const Json& site : sites) {
      if (!site.is_string()) return DataLoss(where + " has a site that is no name");
      round.sites.push_back(site.get<std::string>());
    }
    return round;
  }

  std::shared_ptr<void> lock_;  // let go of after the database is closed
  std::unique_ptr<SqliteDatabase> database_;
};

}  // namespace

Result<std::unique_ptr<Store>> OpenSqliteStore(Disk& disk, std::string_view folder, const SqliteStoreOptions& options) {
  if (!options.system_path.empty()) RETURN_IF_ERROR(RequireLocalFileSystem(options.system_path));
  RETURN_IF_ERROR(disk.MakeFolders(folder));
  ASSIGN_OR_RETURN(std::shared_ptr<void> lock, disk.Lock(folder));
  ASSIGN_OR_RETURN(auto database, SqliteDatabase::Open(disk, std::string(folder) + "/store.db"));
  RETURN_IF_ERROR(Migrate(*database));
  return std::make_unique<SqliteStore>(std::move(lock), std::move(database));
}

}  // namespace fed_learn
