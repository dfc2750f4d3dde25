// JSON values (nlohmann::json) without exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace fed_learn {

using Json = nlohmann::json;

// InvalidArgument with line and column for text that is not JSON, or nested deeper than 64 levels, or with a key twice.
// `source` is the file or peer named in the error.
Result<Json> ParseJson(std::string_view text, std::string_view source);

}  // namespace fed_learn
