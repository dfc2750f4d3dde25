// JsonDocument: a JSON text that remembers where each of its values stands, so that an error can say file, line and
// column even long after parsing.
//
// Values are named by JSON pointer ("/servers/0/name"; "" is the whole). A value; not thread-safe while being changed.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

// Both count from 1; columns count characters, not bytes.
struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
  friend bool operator==(const Position&, const Position&) = default;
};

// "a/b~c" as one token of a JSON pointer: "a~1b~0c".
std::string PointerToken(std::string_view key);

// The tokens of a pointer, as keys: "/a~1b/0" is {"a/b", "0"}.
std::vector<std::string> PointerKeys(std::string_view pointer);

// For people: "/servers/0/name" is "servers[0].name"; the whole is "the document".
std::string ReadablePointer(std::string_view pointer);

// Puts a value at `pointer`, making objects on the way. InvalidArgument, with `origin` in front, if the way leads
// through something that is neither object nor list, or beyond the end of a list (its size appends); `json` may then
// have got objects on the way, and nothing else.
Status SetAt(Json& json, std::string_view pointer, Json value, std::string_view origin);

class JsonDocument {
 public:
  // The largest text that is taken: no configuration needs more, and everything below is bounded by it.
  static constexpr std::size_t kBytesMax = 1 << 20;
  static constexpr std::size_t kKeyBytesMax = 1000;

  // InvalidArgument, with file, line and column, as ParseJson's, or for a key over kKeyBytesMax; ResourceExhausted
  // above kBytesMax.
  static Result<JsonDocument> Parse(std::string_view text, std::string file);

  const Json& json() const { return json_; }
  const std::string& file() const { return file_; }

  // The value at `pointer`, or null if there is none.
  const Json* Get(std::string_view pointer) const;

  // Where the value stands, or its nearest ancestor if there is no such value; FindKey where its key stands.
  Position Find(std::string_view pointer) const;
  Position FindKey(std::string_view pointer) const;

  // "config.json:12:7"; for a value that was put there by Set, the `origin` it was put with.
  std::string Where(std::string_view pointer) const;
  std::string WhereKey(std::string_view pointer) const;

  // The file that the value was read from; empty for a value that was put there by Set.
  std::string_view FileOf(std::string_view pointer) const;

  // InvalidArgument "config.json:12:7: servers[0].name: <message>".
  Error Wrong(std::string_view pointer, std::string_view message) const;

  // As SetAt. From now on the value stands at `origin`, for example "--set seed=5".
  Status Set(std::string_view pointer, Json value, std::string_view origin);

  // Changes a value that stays where it is, as when a variable in it is replaced. REQUIRES: Get(pointer) != nullptr.
  void Replace(std::string_view pointer, Json value);

  // Removes a value; harmless if there is none.
  void Erase(std::string_view pointer);

  // Copies the value at `pointer` with all its places from another document. REQUIRES: other.Get(pointer) != nullptr.
  Status CopyFrom(const JsonDocument& other, std::string_view pointer);

 private:
  struct Place {
    std::string file;  // empty: this document's
    std::string origin;
    Position key;
    Position value;
  };

  JsonDocument() = default;
  const Place& PlaceOf(std::string_view pointer) const;
  std::string Text(const Place& place, Position position) const;
  void ForgetPlaces(const std::string& pointer);

  std::string file_;
  Json json_;
  std::map<std::string, Place, std::less<>> places_;

  friend class JsonPlaceScanner;
};

}  // namespace fed_learn
