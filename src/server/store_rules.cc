#include "server/store_rules.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace fed_learn {
namespace {

constexpr std::array<std::pair<RunState, std::string_view>, 4> kStates = {{
    {RunState::kRunning, "running"},
    {RunState::kCompleted, "completed"},
    {RunState::kFailed, "failed"},
    {RunState::kAborted, "aborted"},
}};

}  // namespace

Status CheckRound(const RoundRecord& round, const std::optional<RoundRecord>& last) {
  if (!std::isfinite(round.seconds)) {
    return InvalidArgument(
        fmt::format("round {} of run {} took {} seconds, which is no number", round.round, round.run, round.seconds));
  }
  if (last && round.round != last->round + 1) {
    return FailedPrecondition(fmt::format("round {} of run {} cannot be recorded: the last recorded is {}", round.round,
                                          round.run, last->round));
  }
  return {};
}

Result<std::string> RecordText(const Json& value) {
  try {
    return value.dump();
  } catch (const Json::exception&) {
    return InvalidArgument("a name or a text to be recorded is not UTF-8");
  }
}

std::string_view ToString(RunState state) {
  for (const auto& [candidate, name] : kStates) {
    if (candidate == state) return name;
  }
  return "failed";
}

std::optional<RunState> RunStateFromString(std::string_view name) {
  for (const auto& [state, candidate] : kStates) {
    if (candidate == name) return state;
  }
  return std::nullopt;
}

}  // namespace fed_learn
