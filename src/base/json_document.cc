#include "base/json_document.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"

namespace fed_learn {
namespace {

std::string ParentOf(std::string_view pointer) {
  const auto slash = pointer.rfind('/');
  return std::string(pointer.substr(0, slash == std::string_view::npos ? 0 : slash));
}

std::string KeyOf(std::string_view token) {
  std::string key;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      key += token[++i] == '1' ? '/' : '~';
    } else {
      key += token[i];
    }
  }
  return key;
}

bool IsIndex(std::string_view key, std::size_t& index) {
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  return error == std::errc() && end == key.data() + key.size();
}

// JsonT is Json or const Json.
template <typename JsonT>
JsonT* Step(JsonT& at, const std::string& key) {
  if (at.is_object()) {
    const auto found = at.find(key);
    return found == at.end() ? nullptr : &*found;
  }
  std::size_t index = 0;
  if (!at.is_array() || !IsIndex(key, index) || index >= at.size()) return nullptr;
  return &at[index];
}

template <typename JsonT>
JsonT* Walk(JsonT& root, std::string_view pointer) {
  JsonT* at = &root;
  for (const std::string& key : PointerKeys(pointer)) {
    at = Step(*at, key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

}  // namespace

// Runs over text that ParseJson has taken, so it need not check the grammar again, and notes where values begin.
class JsonPlaceScanner {
 public:
  JsonPlaceScanner(std::string_view text, JsonDocument& document) : text_(text), document_(document) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  Status Scan() {
    SkipSpace();
    Value("", position_);
    if (!long_key_) return {};
    return InvalidArgument(document_.file_ + ":" + std::to_string(long_key_->line) + ":" +
                           std::to_string(long_key_->column) + ": a key is longer than " +
                           std::to_string(JsonDocument::kKeyBytesMax) + " bytes");
  }

 private:
  void Value(const std::string& pointer, Position key) {
    document_.places_[pointer] = {.file = "", .origin = "", .key = key, .value = position_};
    switch (text_[at_]) {
      case '{':
        return Object(pointer);
      case '[':
        return List(pointer);
      case '"':
        return SkipString();
      default:
        while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) Next();
    }
  }

  void Object(const std::string& pointer) {
    Next();
    for (SkipSpace(); text_[at_] != '}'; SkipSpace()) {
      if (text_[at_] == ',') {
        Next();
        SkipSpace();
      }
      const Position position = position_;
      const std::size_t begin = at_;
      SkipString();
      const auto key = Json::parse(text_.substr(begin, at_ - begin), nullptr, false).get<std::string>();
      if (key.size() > JsonDocument::kKeyBytesMax && !long_key_) long_key_ = position;
      SkipSpace();
      Next();  // the colon
      SkipSpace();
      Value(pointer + "/" + PointerToken(key), position);
    }
    Next();
  }

  void List(const std::string& pointer) {
    Next();
    std::size_t index = 0;
    for (SkipSpace(); text_[at_] != ']'; SkipSpace()) {
      if (text_[at_] == ',') {
        Next();
        SkipSpace();
      }
      Value(pointer + "/" + std::to_string(index++), position_);
    }
    Next();
  }

  void SkipString() {
    for (Next(); text_[at_] != '"'; Next()) {
      if (text_[at_] == '\\') Next();
    }
    Next();
  }

  void SkipSpace() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) Next();
  }

  void Next() {
    const auto byte = static_cast<unsigned char>(text_[at_++]);
    if (byte == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if (at_ >= text_.size() || (static_cast<unsigned char>(text_[at_]) & 0xC0) != 0x80) {
      ++position_.column;  // a character ends where the next byte does not continue it
    }
  }

  std::string_view text_;
  JsonDocument& document_;
  std::size_t at_ = 0;
  Position position_;
  std::optional<Position> long_key_;
};

std::string PointerToken(std::string_view key) {
  std::string token;
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

std::vector<std::string> PointerKeys(std::string_view pointer) {
  std::vector<std::string> keys;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    keys.push_back(KeyOf(pointer.substr(0, end)));
    pointer.remove_prefix(end);
  }
  return keys;
}

std::string ReadablePointer(std::string_view pointer) {
  std::string text;
  std::size_t index = 0;
  for (const std::string& key : PointerKeys(pointer)) {
    if (IsIndex(key, index)) {
      text += "[" + key + "]";
    } else {
      text += (text.empty() ? "" : ".") + Escaped(key);
    }
  }
  return text.empty() ? "the document" : text;
}

Status SetAt(Json& json, std::string_view pointer, Json value, std::string_view origin) {
  Json* at = &json;
  std::string way;
  const auto refuse = [&](const std::string& is, const std::string& key) {
    return InvalidArgument(std::string(origin) + ": " + ReadablePointer(way) + " is " + is + "; it has no '" +
                           Escaped(key) + "'");
  };
  for (const std::string& key : PointerKeys(pointer)) {
    if (at->is_null()) *at = Json::object();
    if (at->is_array()) {
      std::size_t index = 0;
      if (!IsIndex(key, index) || index > at->size()) {
        return refuse("a list of " + std::to_string(at->size()), key);
      }
      if (index == at->size()) at->push_back(nullptr);
      at = &(*at)[index];
    } else if (at->is_object()) {
      at = &(*at)[key];
    } else {
      return refuse(std::string("a ") + at->type_name(), key);
    }
    way += "/" + PointerToken(key);
  }
  *at = std::move(value);
  return {};
}

Result<JsonDocument> JsonDocument::Parse(std::string_view text, std::string file) {
  if (text.size() > kBytesMax) {
    return ResourceExhausted(file + ": " + HumanBytes(text.size()) + "; at most " + HumanBytes(kBytesMax) +
                             " are read as configuration");
  }
  JsonDocument document;
  ASSIGN_OR_RETURN(document.json_, ParseJson(text, file));
  document.file_ = std::move(file);
  RETURN_IF_ERROR(JsonPlaceScanner(text, document).Scan());
  return document;
}

const Json* JsonDocument::Get(std::string_view pointer) const { return Walk(json_, pointer); }

const JsonDocument::Place& JsonDocument::PlaceOf(std::string_view pointer) const {
  std::string at(pointer);
  for (auto found = places_.find(at);; found = places_.find(at)) {
    if (found != places_.end()) return found->second;
    at = ParentOf(at);
  }
}

std::string JsonDocument::Text(const Place& place, Position position) const {
  if (!place.origin.empty()) return place.origin;
  return (place.file.empty() ? file_ : place.file) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

Position JsonDocument::Find(std::string_view pointer) const { return PlaceOf(pointer).value; }
Position JsonDocument::FindKey(std::string_view pointer) const { return PlaceOf(pointer).key; }

std::string JsonDocument::Where(std::string_view pointer) const {
  const Place& place = PlaceOf(pointer);
  return Text(place, place.value);
}

std::string JsonDocument::WhereKey(std::string_view pointer) const {
  const Place& place = PlaceOf(pointer);
  return Text(place, place.key);
}

std::string_view JsonDocument::FileOf(std::string_view pointer) const {
  const Place& place = PlaceOf(pointer);
  if (!place.origin.empty()) return "";
  return place.file.empty() ? file_ : place.file;
}

Error JsonDocument::Wrong(std::string_view pointer, std::string_view message) const {
  return InvalidArgument(Where(pointer) + ": " + ReadablePointer(pointer) + ": " + std::string(message));
}

void JsonDocument::ForgetPlaces(const std::string& pointer) {
  places_.erase(pointer);
  const std::string below = pointer + "/";
  auto first = places_.lower_bound(below);
  auto last = first;
  while (last != places_.end() && last->first.starts_with(below)) ++last;
  places_.erase(first, last);
}

Status JsonDocument::Set(std::string_view pointer, Json value, std::string_view origin) {
  RETURN_IF_ERROR(SetAt(json_, pointer, std::move(value), origin));
  const Place place{.file = "", .origin = std::string(origin), .key = {}, .value = {}};
  std::string way;
  for (const std::string& key : PointerKeys(pointer)) {
    way += "/" + PointerToken(key);
    places_.try_emplace(way, place);  // what was made on the way stands where the value does
  }
  ForgetPlaces(way);
  places_[way] = place;
  return {};
}

void JsonDocument::Replace(std::string_view pointer, Json value) { *Walk(json_, pointer) = std::move(value); }

void JsonDocument::Erase(std::string_view pointer) {
  const auto keys = PointerKeys(pointer);
  Json* parent = keys.empty() ? nullptr : Walk(json_, ParentOf(pointer));
  if (parent == nullptr || !parent->is_object() || parent->erase(keys.back()) == 0) return;
  ForgetPlaces(std::string(pointer));
}

Status JsonDocument::CopyFrom(const JsonDocument& other, std::string_view pointer) {
  RETURN_IF_ERROR(Set(pointer, *other.Get(pointer), other.Where(pointer)));
  const std::string top(pointer);
  for (auto from = other.places_.lower_bound(top); from != other.places_.end() && from->first.starts_with(top);
       ++from) {
    if (from->first.size() > top.size() && from->first[top.size()] != '/') continue;
    Place place = from->second;
    if (place.origin.empty() && place.file.empty()) place.file = other.file_;
    places_[from->first] = std::move(place);
  }
  return {};
}

}  // namespace fed_learn
