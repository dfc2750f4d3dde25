#include "base/json_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

JsonDocument Parsed(std::string_view text) {
  auto document = JsonDocument::Parse(text, "c.json");
  EXPECT_TRUE(document.has_value()) << document.error().message();
  return *std::move(document);
}

constexpr std::string_view kText = R"({
  "servers": [
    {"name": "liver", "n": -1.5e3, "on": true},
    null
  ],
  "a/b~c": { },
  "ü\"ä" : 5, "after": [ ]
})";

TEST(JsonDocumentTest, FindsKeysAndValues) {
  const JsonDocument document = Parsed(kText);
  EXPECT_EQ(document.Find(""), (Position{1, 1}));
  EXPECT_EQ(document.FindKey("/servers"), (Position{2, 3}));
  EXPECT_EQ(document.Find("/servers"), (Position{2, 14}));
  EXPECT_EQ(document.Find("/servers/0"), (Position{3, 5}));
  EXPECT_EQ(document.FindKey("/servers/0/n"), (Position{3, 23}));
  EXPECT_EQ(document.Find("/servers/0/n"), (Position{3, 28}));
  EXPECT_EQ(document.Find("/servers/0/on"), (Position{3, 42}));
  EXPECT_EQ(document.Find("/servers/1"), (Position{4, 5}));
  EXPECT_EQ(document.Find("/a~1b~0c"), (Position{6, 12}));
}

TEST(JsonDocumentTest, ColumnsCountCharacters) {
  const JsonDocument document = Parsed(kText);
  EXPECT_EQ(document.Find("/ü\"ä"), (Position{7, 12}));
  EXPECT_EQ(document.FindKey("/after"), (Position{7, 15}));
}

TEST(JsonDocumentTest, AnAbsentValueStandsAtItsNearestAncestor) {
  const JsonDocument document = Parsed(kText);
  EXPECT_EQ(document.Find("/servers/0/name/x/y"), document.Find("/servers/0/name"));
  EXPECT_EQ(document.Find("/none"), (Position{1, 1}));
  EXPECT_EQ(document.Get("/none"), nullptr);
  EXPECT_EQ(document.Get("/servers/2"), nullptr);
  EXPECT_EQ(document.Get("/servers/x"), nullptr);
}

TEST(JsonDocumentTest, TheSmallestTexts) {
  EXPECT_TRUE(Parsed("{}").json().empty());
  EXPECT_TRUE(Parsed("[]").json().empty());
  EXPECT_EQ(Parsed("7").json(), 7);
  EXPECT_EQ(Parsed(" \n \"x\"").Find(""), (Position{2, 2}));
  EXPECT_EQ(Parsed("\xEF\xBB\xBF{\"a\":1}").FindKey("/a"), (Position{1, 2}));
  EXPECT_EQ(Parsed("\r\n{\r\n\"a\":1}").FindKey("/a"), (Position{3, 1}));
}

TEST(JsonDocumentTest, EveryValueHasAPlace) {
  const JsonDocument document = Parsed(R"([[[]], {"": {"": [1, "\\\"", {"\u00fc": null}]}}, false, [1,2,[3]]])");
  const Json flat = document.json().flatten();
  for (const auto& [pointer, value] : flat.items()) {
    ASSERT_NE(document.Get(pointer), nullptr) << pointer;
    EXPECT_NE(document.Find(pointer), (Position{1, 1})) << pointer;
  }
}

TEST(JsonDocumentTest, TextThatIsNoJsonIsRefusedWithItsPlace) {
  const auto document = JsonDocument::Parse("{\n  \"a\": 1,\n}", "c.json");
  ASSERT_FALSE(document.has_value());
  EXPECT_THAT(document.error().message(), HasSubstr("c.json"));
  EXPECT_THAT(document.error().message(), HasSubstr("3"));
  EXPECT_FALSE(JsonDocument::Parse("", "c.json").has_value());
}

TEST(JsonDocumentTest, TooMuchIsRefused) {
  const auto large = JsonDocument::Parse("\"" + std::string(JsonDocument::kBytesMax, 'x') + "\"", "c.json");
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().kind(), ErrorKind::kResourceExhausted);
  const auto long_key = JsonDocument::Parse("{\"a\": 1,\n \"" + std::string(1001, 'k') + "\": 1}", "c.json");
  ASSERT_FALSE(long_key.has_value());
  EXPECT_THAT(long_key.error().message(), HasSubstr("c.json:2:2: a key is longer than 1000 bytes"));
}

TEST(JsonDocumentTest, WrongSaysFilePlaceAndKey) {
  const Error error = Parsed(kText).Wrong("/servers/0/name", "must not be a liver");
  EXPECT_EQ(error.message(), "c.json:3:14: servers[0].name: must not be a liver");
  EXPECT_EQ(Parsed("{}").Wrong("", "is empty").message(), "c.json:1:1: the document: is empty");
}

TEST(JsonDocumentTest, ASetValueStandsAtItsOrigin) {
  JsonDocument document = Parsed(kText);
  ASSERT_TRUE(document.Set("/servers/0", Json{{"name", "x"}}, "--set y").has_value());
  EXPECT_EQ(document.Where("/servers/0/name"), "--set y");
  EXPECT_EQ(document.Where("/servers"), "c.json:2:14");
  EXPECT_EQ(document.FileOf("/servers/0"), "");
  EXPECT_EQ(document.FileOf("/after"), "c.json");
}

TEST(JsonDocumentTest, SetMakesTheWay) {
  JsonDocument document = Parsed(R"({"a": {"b": 1}, "list": [1]})");
  ASSERT_TRUE(document.Set("/a/c/d", 5, "here").has_value());
  ASSERT_TRUE(document.Set("/list/1", 2, "here").has_value());
  EXPECT_EQ(document.json(), (Json{{"a", {{"b", 1}, {"c", {{"d", 5}}}}}, {"list", {1, 2}}}));
  EXPECT_EQ(document.Where("/a/c"), "here");
  EXPECT_EQ(document.Where("/a/b"), "c.json:1:13");
  EXPECT_FALSE(document.Set("/a/b/c", 1, "here").has_value());
  EXPECT_FALSE(document.Set("/list/3", 1, "here").has_value());
  EXPECT_EQ(document.Set("/list/x", 1, "here").error().message(), "here: list is a list of 2; it has no 'x'");
  ASSERT_TRUE(document.Set("", 7, "here").has_value());
  EXPECT_EQ(document.json(), 7);
}

TEST(JsonDocumentTest, EraseTakesAwayWhatIsThere) {
  JsonDocument document = Parsed(R"({"a": {"b": 1}, "ab": 2})");
  document.Erase("/a");
  document.Erase("/none/x");
  document.Erase("");
  EXPECT_EQ(document.json(), (Json{{"ab", 2}}));
  EXPECT_EQ(document.Find("/a/b"), (Position{1, 1}));
  EXPECT_EQ(document.Find("/ab"), (Position{1, 23}));
}

TEST(JsonDocumentTest, ACopiedValueStandsInItsOwnFile) {
  JsonDocument run = Parsed("{}");
  const auto kit = JsonDocument::Parse("{\n\"s\": {\"x\": [1]}, \"s2\": 1}", "kit/k.json").value();
  ASSERT_TRUE(run.CopyFrom(kit, "/s").has_value());
  EXPECT_EQ(run.json(), (Json{{"s", {{"x", {1}}}}}));
  EXPECT_EQ(run.Where("/s/x/0"), "kit/k.json:2:13");
  EXPECT_EQ(run.FileOf("/s"), "kit/k.json");
  EXPECT_EQ(run.Where("/s2"), "c.json:1:1");
}

TEST(JsonPointerTest, KeysAndTokens) {
  EXPECT_THAT(PointerKeys(""), IsEmpty());
  EXPECT_THAT(PointerKeys("/"), ElementsAre(""));
  EXPECT_THAT(PointerKeys("/a~1b/~0~01/0"), ElementsAre("a/b", "~~1", "0"));
  EXPECT_EQ(PointerToken("a/b~1"), "a~1b~01");
  EXPECT_EQ(ReadablePointer("/servers/0/name"), "servers[0].name");
}

}  // namespace
}  // namespace fed_learn
