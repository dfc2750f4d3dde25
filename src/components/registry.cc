#include "components/registry.h"

#include <algorithm>
#include <limits>

namespace fed_learn {
namespace {

// A value as it stands in the configuration, shortened so that an error stays one line.
std::string Shown(const Json& value) {
  constexpr std::size_t length_max = 60;
  const std::string text = Escaped(value.dump(-1, ' ', true, Json::error_handler_t::replace));
  return text.size() <= length_max ? text : text.substr(0, length_max) + "…";
}

}  // namespace

Result<ComponentSpec> ParseComponentSpec(const Json& json, std::string_view where) {
  if (!json.is_object()) {
    return InvalidArgument(std::string(where) + R"( must be {"name": …, "args": {…}}, not )" + Shown(json));
  }
  for (const auto& [key, value] : json.items()) {
    if (key != "name" && key != "args") {
      return InvalidArgument(std::string(where) + " has an unknown key '" + Escaped(key) + "'" +
                             DidYouMean(key, {"name", "args"}));
    }
  }
  const auto name = json.find("name");
  if (name == json.end() || !name->is_string() || name->get_ref<const std::string&>().empty()) {
    return InvalidArgument(std::string(where) + ".name must be the name of a component");
  }
  ComponentSpec spec{.name = name->get<std::string>()};
  const auto args = json.find("args");
  if (args == json.end() || args->is_null()) return spec;
  if (!args->is_object()) {
    return InvalidArgument(std::string(where) + ".args must be an object, not " + Shown(*args));
  }
  spec.args = *args;
  return spec;
}

const Json* Args::Look(std::string_view name) {
  known_.emplace_back(name);
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(std::string(name));
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t Args::Int(std::string_view name, std::int64_t absent) {
  const Json* value = Look(name);
  if (value == nullptr) return absent;
  const bool fits = !value->is_number_unsigned() ||
                    value->get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (value->is_number_integer() && fits) return value->get<std::int64_t>();
  Fail(name, "a whole number");
  return absent;
}

double Args::Number(std::string_view name, double absent) {
  const Json* value = Look(name);
  if (value == nullptr) return absent;
  if (value->is_number()) return value->get<double>();
  Fail(name, "a number");
  return absent;
}

bool Args::Bool(std::string_view name, bool absent) {
  const Json* value = Look(name);
  if (value == nullptr) return absent;
  if (value->is_boolean()) return value->get<bool>();
  Fail(name, "true or false");
  return absent;
}

std::string Args::String(std::string_view name, std::string absent) {
  const Json* value = Look(name);
  if (value == nullptr) return absent;
  if (value->is_string()) return value->get<std::string>();
  Fail(name, "a string");
  return absent;
}

Json Args::Value(std::string_view name) {
  const Json* value = Look(name);
  return value == nullptr ? Json(nullptr) : *value;
}

void Args::Fail(std::string_view name, std::string_view wanted) {
  if (!wrong_.empty()) return;
  wrong_ = "args." + std::string(name) + " must be " + std::string(wanted);
  const auto found = json_.is_object() ? json_.find(std::string(name)) : json_.end();
  if (found != json_.end()) wrong_ += ", not " + Shown(*found);
}

Status Args::Done() const {
  if (!json_.is_object() && !json_.is_null()) return InvalidArgument("args must be an object, not " + Shown(json_));
  if (!wrong_.empty()) return InvalidArgument(wrong_);
  if (json_.is_null()) return {};
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      return InvalidArgument("args has an unknown key '" + Escaped(key) + "'" + DidYouMean(key, known_));
    }
  }
  return {};
}

}  // namespace fed_learn
