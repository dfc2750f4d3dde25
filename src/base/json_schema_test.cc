#include "base/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kSchema = R"({
  "type": "object",
  "required": ["servers"],
  "additionalProperties": false,
  "properties": {
    "servers": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/definitions/server"}},
    "mode": {"enum": ["fast", "slow"]},
    "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "note": {"type": ["string", "boolean"], "minLength": 1, "maxLength": 5},
    "never": {"not": {}},
    "client": {"type": "object", "properties": {"epochs": {"type": "integer"}}}
  },
  "definitions": {
    "server": {
      "type": "object",
      "required": ["name"],
      "additionalProperties": false,
      "properties": {
        "name": {"type": "string"},
        "min_num_clients": {"type": "integer", "minimum": 1, "maximum": 10},
        "workers": {"type": "integer", "x-without-effect": "one thread a core"}
      }
    }
  }
})";

const JsonSchema& Schema() {
  static const JsonSchema schema = JsonSchema::Parse(kSchema, "schema.json").value();
  return schema;
}

// The error for a document, or "".
std::string Complaint(std::string_view text) {
  const auto document = JsonDocument::Parse(text, "c.json");
  EXPECT_TRUE(document.has_value()) << text;
  const Status status = Schema().Check(*document);
  return status.has_value() ? "" : status.error().message();
}

TEST(JsonSchemaTest, AValidDocumentPasses) {
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x", "min_num_clients": 1}], "mode": "slow", "ratio": 0.5})"), "");
  EXPECT_EQ(Complaint(R"({"servers": [{"name": ""}], "note": true, "client": {"unknown": 1}})"), "");
}

TEST(JsonSchemaTest, AnUnknownKeyIsRefusedWithTheNearest) {
  EXPECT_EQ(Complaint("{\"servers\": [{\"name\": \"x\",\n  \"min_num_client\": 2}]}"),
            "c.json:2:3: unknown key 'min_num_client'; did you mean 'min_num_clients'?");
}

TEST(JsonSchemaTest, AMisspeltRequiredKeyIsCalledUnknownNotMissing) {
  EXPECT_EQ(Complaint(R"({"servers": [{"nam": "x"}]})"), "c.json:1:15: unknown key 'nam'; did you mean 'name'?");
  EXPECT_EQ(Complaint(R"({"server": []})"), "c.json:1:2: unknown key 'server'; did you mean 'servers'?");
}

TEST(JsonSchemaTest, AKeyInTheWrongPlaceIsSentHome) {
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x"}], "min_num_clients": 3})"),
            "c.json:1:30: unknown key 'min_num_clients'; it belongs into 'servers[]'");
  EXPECT_EQ(Complaint(R"({"epochs": 3, "servers": [{"name": "x"}]})"),
            "c.json:1:2: unknown key 'epochs'; it belongs into 'client'");
}

TEST(JsonSchemaTest, AMissingKeyIsNamedWithItsObject) {
  EXPECT_EQ(Complaint(R"({"servers": [{}]})"), "c.json:1:14: servers[0]: the key 'name' is missing");
  EXPECT_EQ(Complaint("{}"), "c.json:1:1: the document: the key 'servers' is missing");
}

TEST(JsonSchemaTest, AWrongTypeIsNamedWithTheRightOne) {
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x", "min_num_clients": "2"}]})"),
            "c.json:1:47: servers[0].min_num_clients: expected integer, got string \"2\"");
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x", "min_num_clients": 2.0}]})"),
            "c.json:1:47: servers[0].min_num_clients: expected integer, got number 2.0");
  EXPECT_EQ(Complaint(R"({"servers": {}})"), "c.json:1:13: servers: expected array, got object");
  EXPECT_EQ(Complaint(R"({"servers": [{"name": null}]})"), "c.json:1:23: servers[0].name: expected string, got null");
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x"}], "note": 3})"),
            "c.json:1:38: note: expected string or boolean, got integer 3");
  EXPECT_EQ(Complaint("[]"), "c.json:1:1: the document: expected object, got array");
}

TEST(JsonSchemaTest, AnImpossibleValueIsNamedWithItsLimit) {
  const auto with = [](std::string_view rest) {
    return Complaint(R"({"servers": [{"name": "x"}], )" + std::string(rest));
  };
  EXPECT_EQ(Complaint(R"({"servers": [{"name": "x", "min_num_clients": 0}]})"),
            "c.json:1:47: servers[0].min_num_clients: must be at least 1, got 0");
  EXPECT_THAT(Complaint(R"({"servers": [{"name": "x", "min_num_clients": 11}]})"), HasSubstr("at most 10, got 11"));
  EXPECT_THAT(with(R"("ratio": 0})"), HasSubstr("ratio: must be more than 0, got 0"));
  EXPECT_THAT(with(R"("ratio": 1.0})"), HasSubstr("ratio: must be less than 1, got 1.0"));
  EXPECT_THAT(with(R"("mode": "slo"})"), HasSubstr("mode: is \"slo\"; did you mean 'slow'?"));
  EXPECT_THAT(with(R"("note": ""})"), HasSubstr("note: must not be empty"));
  EXPECT_THAT(with(R"("note": "longer"})"), HasSubstr("note: must be at most 5 characters long"));
  EXPECT_THAT(Complaint(R"({"servers": []})"), HasSubstr("servers: must have at least 1 entries, has 0"));
  EXPECT_THAT(Complaint(R"({"servers": [{"name":"x"},{"name":"x"},{"name":"x"}]})"), HasSubstr("at most 2 entries"));
}

TEST(JsonSchemaTest, TheFirstOfSeveralErrorsIsTold) {
  EXPECT_THAT(Complaint("{\"mode\": \"quick\",\n\"servers\": [{\"nam\": 3}],\n\"zzz\": 1}"),
              HasSubstr("c.json:1:10: mode"));
  EXPECT_THAT(Complaint("{\"servers\": [{\"nam\": 3}],\n\"zzz\": 1, \"mode\": \"quick\"}"), HasSubstr("c.json:1:15"));
}

TEST(JsonSchemaTest, WhatTheSchemaSaysInOtherWordsIsStillRefusedWithItsPlace) {
  EXPECT_THAT(Complaint("{\"servers\": [{\"name\": \"x\"}],\n\"never\": 1}"), HasSubstr("c.json:2:10: never: "));
}

TEST(JsonSchemaTest, AForeignKeyCannotBreakTheLine) {
  const std::string message = Complaint("{\"servers\": [], \"a\\u001b[2J\\n" + std::string(900, 'k') + "\": 1}");
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 300u);
}

TEST(JsonSchemaTest, NotesAreThoseOfKeysThatArePresent) {
  const auto without = JsonDocument::Parse(R"({"servers": [{"name": "x"}]})", "c.json").value();
  EXPECT_THAT(Schema().Notes(without, "x-without-effect"), IsEmpty());
  const auto with = JsonDocument::Parse(R"({"servers": [{"name": "x", "workers": 3}]})", "c.json").value();
  const auto notes = Schema().Notes(with, "x-without-effect");
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_EQ(notes[0].pointer, "/servers/0/workers");
  EXPECT_EQ(notes[0].text, "one thread a core");
}

TEST(JsonSchemaTest, TextThatIsNoSchemaIsRefused) {
  EXPECT_FALSE(JsonSchema::Parse("{", "s").has_value());
  EXPECT_FALSE(JsonSchema::Parse(R"({"minimum": "one"})", "s").has_value());
  EXPECT_FALSE(JsonSchema::Parse(R"({"$ref": "https://example.org/s.json"})", "s").has_value());
}

// Whatever is changed in a document, the answer is an error in one line or success, and an error has a place.
TEST(JsonSchemaTest, AnyDocumentGetsAnAnswer) {
  const std::string good = R"({"servers": [{"name": "x", "min_num_clients": 2}], "mode": "slow", "note": "a"})";
  Random random(7);
  int parsed = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int changes = 0; changes < 2; ++changes) {
      constexpr std::string_view letters = R"({}[]",:09.-enul )";
      text[random.Below(text.size())] = letters[random.Below(letters.size())];
    }
    const auto document = JsonDocument::Parse(text, "c.json");
    if (!document.has_value()) continue;
    ++parsed;
    const Status status = Schema().Check(*document);
    EXPECT_TRUE(status.has_value() || status.error().message().starts_with("c.json:1:")) << text;
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace fed_learn
