// Changes to a JSON document from outside of it: `--set` assignments and variables.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/json_document.h"
#include "base/result.h"

namespace fed_learn {

// Carries out "servers.0.num_rounds=5" or "aggregator.args.optimizer.args.lr=0.1". The path is dotted, or a JSON
// pointer if it begins with '/' (for keys that have dots); objects on the way are made. The value is JSON, or, where it
// is none, the text itself. InvalidArgument, beginning with "--set <assignment>", if there is no '=' or no such way.
Status ApplyOverride(Json& json, std::string_view assignment);
Status ApplyOverride(JsonDocument& document, std::string_view assignment);

using Variables = std::map<std::string, Json, std::less<>>;

// Replaces {NAME} in every string by the variable of that name: letters A to Z, digits and '_', a letter first. A
// string that is nothing but {NAME} becomes the variable's value with its type. Variables are the document's own
// top-level values of such names (which are taken out of it), then `outer`. Values are not expanded again.
// InvalidArgument, with the place, for a name that is no variable, or a variable that is a list or an object.
Status ExpandVariables(JsonDocument& document, const Variables& outer);

}  // namespace fed_learn
