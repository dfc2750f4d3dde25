// A Store that keeps everything in memory, as long as it lives: for tests of what uses a Store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/store.h"

namespace fed_learn {

class MemoryStore final : public Store {
 public:
  Result<std::optional<RunRecord>> FindRun(std::int64_t run) override;
  Status RecordRun(const RunRecord& run) override;
  Status RecordRound(const RoundRecord& round) override;
  Result<std::optional<RoundRecord>> LastRound(std::int64_t run) override;
  Result<std::vector<RoundRecord>> Rounds(std::int64_t run) override;
  Status RecordSite(const SiteRecord& site) override;
  Result<std::vector<SiteRecord>> Sites() override;
  Status RecordAudit(std::string_view when, std::string_view who, std::string_view what) override;
  Result<std::vector<AuditRecord>> Audit() override;

 private:
  std::map<std::int64_t, RunRecord> runs_;
  std::map<std::int64_t, std::vector<RoundRecord>> rounds_;
  std::map<std::string, SiteRecord> sites_;
  std::vector<AuditRecord> audit_;
};

}  // namespace fed_learn
