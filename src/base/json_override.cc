#include "base/json_override.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"

namespace fed_learn {
namespace {

struct Assignment {
  std::string pointer;
  Json value;
  std::string origin;
};

Result<Assignment> ParseAssignment(std::string_view text) {
  Assignment assignment{.pointer = "", .value = nullptr, .origin = "--set " + Escaped(text)};
  if (!IsUtf8(text)) return InvalidArgument(assignment.origin + ": is not UTF-8");
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return InvalidArgument(assignment.origin + ": write it as path=value, for example servers.0.num_rounds=5");
  }
  std::string_view path = text.substr(0, equals);
  if (path.starts_with('/')) {
    assignment.pointer = path;
  } else {
    for (;;) {
      const auto dot = std::min(path.find('.'), path.size());
      if (dot == 0) return InvalidArgument(assignment.origin + ": the path has an empty part");
      assignment.pointer += "/" + PointerToken(path.substr(0, dot));
      if (dot == path.size()) break;
      path.remove_prefix(dot + 1);
    }
  }
  const std::string_view value = text.substr(equals + 1);
  auto parsed = ParseJson(value, "value");
  assignment.value = parsed.has_value() ? *std::move(parsed) : Json(value);
  return assignment;
}

bool IsVariableName(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

class Expander {
 public:
  Expander(JsonDocument& document, Variables variables) : document_(document), variables_(std::move(variables)) {}

  Status Walk(const Json& value, const std::string& pointer) {
    if (value.is_string()) return Expand(value.get<std::string>(), pointer);
    if (!value.is_structured()) return {};
    for (const auto& [key, member] : value.items()) RETURN_IF_ERROR(Walk(member, pointer + "/" + PointerToken(key)));
    return {};
  }

 private:
  Status Expand(const std::string& text, const std::string& pointer) {
    std::string expanded;
    std::size_t done = 0;
    for (std::size_t open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
      const std::size_t close = text.find('}', open);
      if (close == std::string::npos) break;
      const std::string name = text.substr(open + 1, close - open - 1);
      if (!IsVariableName(name)) continue;
      const auto found = variables_.find(name);
      if (found == variables_.end()) return document_.Wrong(pointer, Unknown(name));
      const Json& value = found->second;
      if (open == 0 && close + 1 == text.size()) {
        document_.Replace(pointer, value);
        return {};
      }
      expanded += text.substr(done, open - done) + (value.is_string() ? value.get<std::string>() : value.dump());
      done = close + 1;
    }
    if (done > 0) document_.Replace(pointer, expanded + text.substr(done));
    return {};
  }

  std::string Unknown(const std::string& name) const {
    std::vector<std::string> known;
    for (const auto& [variable, unused] : variables_) known.push_back(variable);
    return "there is no variable {" + name + "}" + DidYouMean(name, known);
  }

  JsonDocument& document_;
  Variables variables_;
};

}  // namespace

Status ApplyOverride(Json& json, std::string_view assignment) {
  ASSIGN_OR_RETURN(Assignment parsed, ParseAssignment(assignment));
  return SetAt(json, parsed.pointer, std::move(parsed.value), parsed.origin);
}

Status ApplyOverride(JsonDocument& document, std::string_view assignment) {
  ASSIGN_OR_RETURN(Assignment parsed, ParseAssignment(assignment));
  return document.Set(parsed.pointer, std::move(parsed.value), parsed.origin);
}

Status ExpandVariables(JsonDocument& document, const Variables& outer) {
  Variables variables = outer;
  std::vector<std::string> own;
  if (document.json().is_object()) {
    for (const auto& [key, value] : document.json().items()) {
      if (!IsVariableName(key)) continue;
      if (value.is_structured() || value.is_null()) {
        return document.Wrong("/" + key, "a variable must be a string, a number, true or false");
      }
      variables.insert_or_assign(key, value);
      own.push_back(key);
    }
  }
  for (const std::string& key : own) document.Erase("/" + key);
  // The walk reads a copy, because it changes the document under way.
  const Json before = document.json();
  return Expander(document, std::move(variables)).Walk(before, "");
}

}  // namespace fed_learn
