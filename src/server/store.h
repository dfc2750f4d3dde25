// Store: what a server must still know after a crash. Every Record returns only when its facts are durable.
//
// server/store_contract_test.cc says the rest. Not thread-safe; the driver owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

enum class RunState { kRunning, kCompleted, kFailed, kAborted };

struct RunRecord {
  std::int64_t run = 1;
  std::string task_name;
  std::string config_sha256;  // of the configuration the run was started with
  RunState state = RunState::kRunning;
  std::string why;  // of an end that is not kCompleted
};

// The outcome of a round; for round start_round − 1, the model that the run starts from.
struct RoundRecord {
  std::int64_t run = 1;
  int round = 0;
  std::string model_id;            // of the model after the round, a package in the store's folder
  std::string state_id;            // of the aggregator's state, another; empty if none
  std::vector<std::string> sites;  // that were counted
  Json metrics = Json::object();   // means, and per site
  double seconds = 0;
};

struct SiteRecord {
  std::string site;
  std::string token;            // given at registration; the same after a restart
  std::int64_t registered = 0;  // order of first registration
};

struct AuditRecord {
  std::string when;  // wall time as RFC 3339
  std::string who;
  std::string what;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual Result<std::optional<RunRecord>> FindRun(std::int64_t run) = 0;
  virtual Status RecordRun(const RunRecord& run) = 0;  // inserts or replaces

  // FailedPrecondition unless `round` is the successor of the last recorded (or the first) of its run.
  virtual Status RecordRound(const RoundRecord& round) = 0;
  virtual Result<std::optional<RoundRecord>> LastRound(std::int64_t run) = 0;
  virtual Result<std::vector<RoundRecord>> Rounds(std::int64_t run) = 0;

  virtual Status RecordSite(const SiteRecord& site) = 0;
  virtual Result<std::vector<SiteRecord>> Sites() = 0;  // in order of registration

  // One line of the audit trail: who did what, when (wall time as RFC 3339).
  virtual Status RecordAudit(std::string_view when, std::string_view who, std::string_view what) = 0;
  virtual Result<std::vector<AuditRecord>> Audit() = 0;  // in the order of recording
};

}  // namespace fed_learn
