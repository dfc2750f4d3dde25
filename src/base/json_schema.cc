#include "base/json_schema.h"

// Without this the library ends the process instead of throwing.
#define VALIJSON_USE_EXCEPTIONS 1

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::size_t kShownBytesMax = 60;  // of a wrong value in an error

// What is wrong at one place of the document.
struct Complaint {
  Position at;
  bool missing = false;  // a missing key is often the other half of a misspelt one, so it is told last
  std::string message;
};

auto Rank(const Complaint& complaint) { return std::tuple(complaint.missing, complaint.at.line, complaint.at.column); }

// valijson names places as "[servers]", "[0]", after "<root>".
std::string PointerOf(const std::vector<std::string>& context) {
  std::string pointer;
  for (std::size_t i = 1; i < context.size(); ++i) {
    pointer += "/" + PointerToken(std::string_view(context[i]).substr(1, context[i].size() - 2));
  }
  return pointer;
}

const Json* Member(const Json* schema, std::string_view key) {
  if (schema == nullptr || !schema->is_object()) return nullptr;
  const auto found = schema->find(key);
  return found == schema->end() ? nullptr : &*found;
}

const Json* Resolved(const Json& root, const Json* schema) {
  const Json* reference = Member(schema, "$ref");
  if (reference == nullptr) return schema;
  const Json::json_pointer target(reference->get_ref<const std::string&>().substr(1));
  return root.contains(target) ? &root.at(target) : nullptr;
}

// The schema of the member `key` (of a list: of every member) of what `schema` describes, or null if it says nothing of
// it.
const Json* Below(const Json& root, const Json* schema, const std::string& key) {
  const Json* below = Member(Member(schema, "properties"), key);
  if (below == nullptr) below = Member(schema, "additionalProperties");
  if (const Json* items = Member(schema, "items"); items != nullptr && !items->is_array()) below = items;
  return Resolved(root, below);
}

std::string TypeName(const Json& value) {
  if (value.is_number_integer()) return "integer";
  return value.type_name();
}

std::string Shortened(std::string text) {
  if (text.size() > kShownBytesMax) text = text.substr(0, kShownBytesMax) + "…";
  return text;
}

std::string Shown(const Json& value) {
  return Shortened(Escaped(value.dump(-1, ' ', true, Json::error_handler_t::replace)));
}

bool HasType(const Json& value, const std::string& type) {
  return type == TypeName(value) || (type == "number" && value.is_number());
}

std::vector<std::string> Texts(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& item : list) texts.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return texts;
}

// "expected integer, got string \"five\"", if the type is wrong.
std::optional<std::string> WrongType(const Json& schema, const Json& value) {
  const Json* type = Member(&schema, "type");
  if (type == nullptr) return std::nullopt;
  const auto types = Texts(type->is_array() ? *type : Json::array({*type}));
  if (std::any_of(types.begin(), types.end(), [&](const auto& name) { return HasType(value, name); })) {
    return std::nullopt;
  }
  const std::string what = value.is_structured() || value.is_null() ? "" : " " + Shown(value);
  return fmt::format("expected {}, got {}{}", fmt::join(types, " or "), TypeName(value), what);
}

std::optional<std::string> WrongNumber(const Json& schema, const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  const auto limit = [&](const char* keyword) { return Member(&schema, keyword); };
  const auto is = [&](const char* words, const Json& bound) {
    return fmt::format("must be {} {}, got {}", words, bound.dump(), value.dump());
  };
  if (const Json* least = limit("minimum"); least != nullptr && number < *least) return is("at least", *least);
  if (const Json* most = limit("maximum"); most != nullptr && number > *most) return is("at most", *most);
  if (const Json* over = limit("exclusiveMinimum"); over != nullptr && number <= *over) return is("more than", *over);
  if (const Json* under = limit("exclusiveMaximum"); under != nullptr && number >= *under) {
    return is("less than", *under);
  }
  return std::nullopt;
}

std::optional<std::string> WrongSize(const Json& schema, const Json& value) {
  const auto limit = [&](const char* keyword) {
    const Json* bound = Member(&schema, keyword);
    return bound == nullptr ? std::optional<std::size_t>() : bound->get<std::size_t>();
  };
  if (value.is_string()) {
    const std::size_t bytes = value.get_ref<const std::string&>().size();
    if (bytes < limit("minLength").value_or(0)) return "must not be empty";
    if (bytes > limit("maxLength").value_or(bytes)) {
      return fmt::format("must be at most {} characters long", *limit("maxLength"));
    }
  }
  if (value.is_array()) {
    if (value.size() < limit("minItems").value_or(0)) {
      return fmt::format("must have at least {} entries, has {}", *limit("minItems"), value.size());
    }
    if (value.size() > limit("maxItems").value_or(value.size())) {
      return fmt::format("must have at most {} entries, has {}", *limit("maxItems"), value.size());
    }
  }
  return std::nullopt;
}

std::optional<std::string> WrongChoice(const Json& schema, const Json& value) {
  const Json* choices = Member(&schema, "enum");
  if (choices == nullptr || std::find(choices->begin(), choices->end(), value) != choices->end()) return std::nullopt;
  const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
  return fmt::format("is {}{}", Shown(value), DidYouMean(word, Texts(*choices)));
}

std::optional<std::string> WrongValue(const Json& schema, const Json& value) {
  for (const auto check : {WrongType, WrongNumber, WrongSize, WrongChoice}) {
    if (auto wrong = check(schema, value)) return wrong;
  }
  return std::nullopt;
}

// Where in the schema a key of this name is known, as "servers[].num_rounds"; empty if nowhere.
// REQUIRES: the schema is not recursive.
std::string HomeOf(const Json& root, const Json* schema, const std::string& key, const std::string& path) {
  const Json* properties = Member(schema, "properties");
  if (properties == nullptr) return "";
  if (properties->contains(key)) return path;
  for (const auto& [name, below] : properties->items()) {
    const Json* inner = Resolved(root, &below);
    const Json* items = Member(inner, "items");
    const std::string home = HomeOf(root, items != nullptr ? Resolved(root, items) : inner, key,
                                    path + (path.empty() ? "" : ".") + name + (items != nullptr ? "[]" : ""));
    if (!home.empty()) return home;
  }
  return "";
}

}  // namespace

struct JsonSchema::Rep {
  Json json;
  valijson::Schema schema;

  std::optional<Complaint> Explain(const JsonDocument& document, const std::string& pointer) const;
  std::optional<Complaint> UnknownKey(const JsonDocument& document, const std::string& pointer, const Json& schema,
                                      const Json& value) const;
  const Json* SchemaOf(std::string_view pointer) const;
  void CollectNotes(const Json& value, const Json* schema, const std::string& pointer, std::string_view keyword,
                    std::vector<JsonNote>& notes) const;
};

const Json* JsonSchema::Rep::SchemaOf(std::string_view pointer) const {
  const Json* schema = Resolved(json, &json);
  for (const std::string& key : PointerKeys(pointer)) schema = Below(json, schema, key);
  return schema;
}

std::optional<Complaint> JsonSchema::Rep::UnknownKey(const JsonDocument& document, const std::string& pointer,
                                                     const Json& schema, const Json& value) const {
  const Json* additional = Member(&schema, "additionalProperties");
  if (!value.is_object() || additional == nullptr || *additional != false) return std::nullopt;
  const Json* properties = Member(&schema, "properties");
  std::vector<std::string> known;
  if (properties != nullptr) {
    for (const auto& [name, unused] : properties->items()) known.push_back(name);
  }
  std::optional<Complaint> first;
  for (const auto& [key, unused] : value.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string at = pointer + "/" + PointerToken(key);
    const std::string home = HomeOf(json, Resolved(json, &json), key, "");
    const std::string hint = home.empty() ? DidYouMean(key, known) : "; it belongs into '" + home + "'";
    Complaint complaint{document.FindKey(at), false,
                        fmt::format("{}: unknown key '{}'{}", document.WhereKey(at), Shortened(Escaped(key)), hint)};
    if (!first || Rank(complaint) < Rank(*first)) first = std::move(complaint);
  }
  return first;
}

std::optional<Complaint> JsonSchema::Rep::Explain(const JsonDocument& document, const std::string& pointer) const {
  const Json* schema = SchemaOf(pointer);
  const Json* value = document.Get(pointer);
  if (schema == nullptr || !schema->is_object() || value == nullptr) return std::nullopt;
  const auto complaint = [&](std::string_view message, bool missing) {
    return Complaint{document.Find(pointer), missing, document.Wrong(pointer, message).message()};
  };
  if (const auto wrong = WrongValue(*schema, *value)) return complaint(*wrong, false);
  if (auto unknown = UnknownKey(document, pointer, *schema, *value)) return unknown;
  if (const Json* required = Member(schema, "required"); required != nullptr && value->is_object()) {
    for (const std::string& key : Texts(*required)) {
      if (!value->contains(key)) return complaint("the key '" + key + "' is missing", true);
    }
  }
  return std::nullopt;
}

void JsonSchema::Rep::CollectNotes(const Json& value, const Json* schema, const std::string& pointer,
                                   std::string_view keyword, std::vector<JsonNote>& notes) const {
  if (schema == nullptr) return;
  if (const Json* text = Member(schema, keyword); text != nullptr && text->is_string()) {
    notes.push_back({pointer, text->get<std::string>()});
  }
  if (!value.is_structured()) return;
  for (const auto& [key, member] : value.items()) {
    CollectNotes(member, Below(json, schema, key), pointer + "/" + PointerToken(key), keyword, notes);
  }
}

JsonSchema::JsonSchema(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

const Json& JsonSchema::json() const { return rep_->json; }

Result<JsonSchema> JsonSchema::Parse(std::string_view text, std::string_view source) {
  auto rep = std::make_unique<Rep>();
  ASSIGN_OR_RETURN(rep->json, ParseJson(text, source));
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(rep->json), rep->schema);
  } catch (const std::exception& error) {
    return InvalidArgument(fmt::format("{} is no JSON schema: {}", source, Escaped(error.what())));
  }
  return JsonSchema(std::move(rep));
}

Status JsonSchema::Check(const JsonDocument& document) const {
  valijson::ValidationResults results;
  try {
    valijson::Validator validator;
    const valijson::adapters::NlohmannJsonAdapter target(document.json());
    if (validator.validate(rep_->schema, target, &results)) return {};
  } catch (const std::exception& error) {
    return Internal(fmt::format("{}: could not be checked against its schema: {}", document.file(), error.what()));
  }
  // The list has each wrong place and the places around it, which say nothing by themselves.
  std::optional<Complaint> first;
  for (const auto& error : results) {
    auto complaint = rep_->Explain(document, PointerOf(error.context));
    if (complaint && (!first || Rank(*complaint) < Rank(*first))) first = std::move(complaint);
  }
  if (first) return InvalidArgument(first->message);
  const auto innermost = std::max_element(
      results.begin(), results.end(), [](const auto& a, const auto& b) { return a.context.size() < b.context.size(); });
  return document.Wrong(PointerOf(innermost->context), Escaped(innermost->description));
}

std::vector<JsonNote> JsonSchema::Notes(const JsonDocument& document, std::string_view keyword) const {
  std::vector<JsonNote> notes;
  rep_->CollectNotes(document.json(), Resolved(rep_->json, &rep_->json), "", keyword, notes);
  return notes;
}

}  // namespace fed_learn
