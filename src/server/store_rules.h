// What every Store checks before it records, in one place.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "server/store.h"

namespace fed_learn {

// FailedPrecondition unless the round is the successor of `last`, the last that is recorded of its run, or there is
// none; InvalidArgument if its `seconds` is no number.
Status CheckRound(const RoundRecord& round, const std::optional<RoundRecord>& last);

// The value as JSON text (NaN becomes null). InvalidArgument for text in it that is not UTF-8.
Result<std::string> RecordText(const Json& value);

std::string_view ToString(RunState state);

// nullopt for a name that is none.
std::optional<RunState> RunStateFromString(std::string_view name);

}  // namespace fed_learn
