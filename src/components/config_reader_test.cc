#include "components/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

JsonDocument Parsed(std::string_view text, std::string file = "c.json") {
  return JsonDocument::Parse(text, std::move(file)).value();
}

TEST(ReadComponentTest, NameAndArguments) {
  const auto document = Parsed(R"({"a": {"name": "X", "args": {"bins": 3}}, "b": {"name": "Y"}})");
  const auto spec = ReadComponent(document, "/a").value();
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->name, "X");
  EXPECT_EQ(spec->args, (Json{{"bins", 3}}));
  EXPECT_TRUE(ReadComponent(document, "/b").value()->args.is_object());
}

TEST(ReadComponentTest, AbsentEmptyAndDisabledAreNone) {
  const auto document = Parsed(R"({"a": {}, "b": {"name": "X", "disabled": true}, "c": {"disabled": true}})");
  for (const char* pointer : {"/a", "/b", "/c", "/none"}) {
    EXPECT_FALSE(ReadComponent(document, pointer).value().has_value()) << pointer;
  }
}

TEST(ReadComponentTest, APathTakesThePlaceOfTheName) {
  const auto document = Parsed(R"({"a": {"name": "X", "path": "my_filters.Unpack"}, "b": {"path": "Unpack"}})");
  EXPECT_EQ(ReadComponent(document, "/a").value()->name, "my_filters.Unpack");
  const auto wrong = ReadComponent(document, "/b");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().message(), "c.json:1:65: b.path: 'Unpack' lacks the module: write module.Class");
}

TEST(ReadComponentTest, NeitherNameNorPathIsRefused) {
  const auto wrong = ReadComponent(Parsed(R"({"a": {"args": {}}})"), "/a");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message(), HasSubstr("c.json:1:7: a: a component needs a \"name\""));
}

TEST(ReadComponentsTest, KeepsTheOrderAndLeavesOutTheDisabled) {
  const auto document =
      Parsed(R"({"a": [{"name": "X"}, {"name": "Y", "disabled": true}, {"name": "Z"}], "b": [], "c": [{}]})");
  const auto specs = ReadComponents(document, "/a").value();
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].name + specs[1].name, "XZ");
  EXPECT_THAT(ReadComponents(document, "/b").value(), IsEmpty());
  EXPECT_THAT(ReadComponents(document, "/none").value(), IsEmpty());
  EXPECT_THAT(ReadComponents(document, "/c").error().message(), HasSubstr("c[0]"));
}

TEST(ReadPatternTest, WhatIsNoExpressionIsRefused) {
  const auto document = Parsed(R"({"good": "^head/", "bad": "head("})");
  EXPECT_EQ(ReadPattern(document, "/good").value(), "^head/");
  EXPECT_EQ(ReadPattern(document, "/none").value(), "");
  EXPECT_THAT(ReadPattern(document, "/bad").error().message(), HasSubstr("c.json:1:27: bad: 'head(' is no regular"));
}

TEST(ReadPathTest, StartsInTheFolderOfTheFileThatNamesIt) {
  auto document = Parsed(R"({"key": "client.key", "cert": "/etc/client.crt"})", "kit/startup/fed_client.json");
  EXPECT_EQ(ReadPath(document, "/key"), "kit/startup/client.key");
  EXPECT_EQ(ReadPath(document, "/cert"), "/etc/client.crt");
  EXPECT_EQ(ReadPath(document, "/none"), "");
  ASSERT_TRUE(document.Set("/key", "other.key", "--set key=other.key").has_value());
  EXPECT_EQ(ReadPath(document, "/key"), "other.key");
  EXPECT_EQ(ReadPath(Parsed(R"({"key": "client.key"})"), "/key"), "client.key");
}

}  // namespace
}  // namespace fed_learn
