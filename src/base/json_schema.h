// JsonSchema: what a JSON document may look like (JSON Schema, draft 7), and one clear error for a document that does
// not: "config.json:12:7: unknown key 'min_num_client'; did you mean 'min_num_clients'?".
//
// valijson decides; this class finds the place and the words. Immutable after Parse, so safe to use from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_document.h"
#include "base/result.h"

namespace fed_learn {

// A key of a document, with what its schema says of it.
struct JsonNote {
  std::string pointer;
  std::string text;
};

class JsonSchema {
 public:
  // InvalidArgument for text that is no schema. `source` names it in errors. Only local references ("#/definitions/x")
  // are followed.
  static Result<JsonSchema> Parse(std::string_view text, std::string_view source);

  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

  // InvalidArgument, naming the first wrong place in the file, if the document is not as the schema says.
  Status Check(const JsonDocument& document) const;

  // The keys present in the document whose schema has the keyword `keyword`, and its text, in the order of the
  // pointers. For what is accepted but has a remark, as "x-without-effect".
  std::vector<JsonNote> Notes(const JsonDocument& document, std::string_view keyword) const;

  const Json& json() const;

 private:
  struct Rep;
  explicit JsonSchema(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace fed_learn
