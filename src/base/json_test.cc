#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Wrong(std::string_view text) {
  const Result<Json> result = ParseJson(text, "app.json");
  EXPECT_FALSE(result.has_value()) << text;
  if (result.has_value()) return "";
  EXPECT_EQ(result.error().kind(), ErrorKind::kInvalidArgument);
  return result.error().message();
}

std::string Nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(ParseJsonTest, EveryKindOfValueComesThrough) {
  const std::string_view text =
      R"( {"a": [1, -2, 2.5, true, null, "x\u00e9", [], {}], "b": {"c": 18446744073709551615}} )";
  const Result<Json> result = ParseJson(text, "app.json");
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_EQ(*result, Json::parse(text));
}

TEST(ParseJsonTest, AValueAloneIsJson) { EXPECT_EQ(ParseJson("17", "x").value(), Json(17)); }

TEST(ParseJsonTest, EmptyTextIsRefused) {
  EXPECT_THAT(Wrong(""), StartsWith("app.json: line 1, column 1: "));
  EXPECT_THAT(Wrong(""), HasSubstr("unexpected end of input"));
}

TEST(ParseJsonTest, AMistakeIsToldWithLineAndColumn) {
  EXPECT_THAT(Wrong("{\n  \"a\": 1,\n  \"b\": nix\n}"), StartsWith("app.json: line 3, column 9: syntax error"));
  EXPECT_THAT(Wrong("{\"a\": 1} x"), StartsWith("app.json: line 1, column 10: syntax error"));
}

TEST(ParseJsonTest, AKeyTwiceIsRefused) {
  EXPECT_EQ(Wrong("{\"a\": 1,\n \"b\": 2, \"a\": 3}"),
            "app.json: line 2, column 12: the key \"a\" stands twice in one object; keep one of them");
  EXPECT_TRUE(ParseJson(R"([{"a": 1}, {"a": {"a": 2}}])", "x").has_value());
}

TEST(ParseJsonTest, SixtyFourLevelsAreTheMost) {
  EXPECT_TRUE(ParseJson(Nested(64), "x").has_value());
  EXPECT_EQ(Wrong(Nested(65)), "app.json: line 1, column 65: nested deeper than 64 levels");
  EXPECT_THAT(Wrong(std::string(1'000'000, '[')), HasSubstr("nested deeper"));
}

TEST(ParseJsonTest, ANumberTooLargeIsRefused) { EXPECT_THAT(Wrong("[1e999]"), HasSubstr("number overflow")); }

TEST(ParseJsonTest, BrokenUtf8IsRefused) { EXPECT_THAT(Wrong("\"\xFF\""), HasSubstr("UTF-8")); }

TEST(ParseJsonTest, AnErrorIsOneShortLine) {
  const std::string message = Wrong("{\"a\n\x1b[31m" + std::string(10'000, 'x'));
  EXPECT_LT(message.size(), 400u);
  EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos);
}

TEST(ParseJsonTest, ATruncatedDocumentIsRefusedAtEveryLength) {
  const std::string text = R"({"a": [1, {"b": "c\n"}], "d": -0.5e3})";
  for (std::size_t size = 0; size < text.size(); ++size) Wrong(text.substr(0, size));
}

}  // namespace
}  // namespace fed_learn
