#include "server/memory_store.h"

#include <algorithm>
#include <tuple>

#include "server/store_rules.h"

namespace fed_learn {

Result<std::optional<RunRecord>> MemoryStore::FindRun(std::int64_t run) {
  const auto found = runs_.find(run);
  return found == runs_.end() ? std::optional<RunRecord>() : found->second;
}

Status MemoryStore::RecordRun(const RunRecord& run) {
  runs_.insert_or_assign(run.run, run);
  return {};
}

Status MemoryStore::RecordRound(const RoundRecord& round) {
  ASSIGN_OR_RETURN(const auto last, LastRound(round.run));
  RETURN_IF_ERROR(CheckRound(round, last));
  RETURN_IF_ERROR(RecordText(round.sites));
  ASSIGN_OR_RETURN(const std::string metrics, RecordText(round.metrics));
  RoundRecord& kept = rounds_[round.run].emplace_back(round);
  ASSIGN_OR_RETURN(kept.metrics, ParseJson(metrics, "metrics"));
  return {};
}

Result<std::optional<RoundRecord>> MemoryStore::LastRound(std::int64_t run) {
  const auto found = rounds_.find(run);
  return found == rounds_.end() ? std::optional<RoundRecord>() : found->second.back();
}

Result<std::vector<RoundRecord>> MemoryStore::Rounds(std::int64_t run) {
  const auto found = rounds_.find(run);
  return found == rounds_.end() ? std::vector<RoundRecord>() : found->second;
}

Status MemoryStore::RecordSite(const SiteRecord& site) {
  sites_.insert_or_assign(site.site, site);
  return {};
}

Result<std::vector<SiteRecord>> MemoryStore::Sites() {
  std::vector<SiteRecord> sites;
  for (const auto& [name, site] : sites_) sites.push_back(site);
  std::stable_sort(sites.begin(), sites.end(),
                   [](const SiteRecord& a, const SiteRecord& b) { return a.registered < b.registered; });
  return sites;
}

Status MemoryStore::RecordAudit(std::string_view when, std::string_view who, std::string_view what) {
  audit_.push_back({std::string(when), std::string(who), std::string(what)});
  return {};
}

Result<std::vector<AuditRecord>> MemoryStore::Audit() { return audit_; }

}  // namespace fed_learn
