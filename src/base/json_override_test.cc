#include "base/json_override.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

Json Overridden(Json json, std::string_view assignment) {
  const Status status = ApplyOverride(json, assignment);
  EXPECT_TRUE(status.has_value()) << status.error().message();
  return json;
}

TEST(ApplyOverrideTest, ReplacesAndMakes) {
  const Json json = {{"servers", {{{"num_rounds", 3}}}}};
  EXPECT_EQ(Overridden(json, "servers.0.num_rounds=5"), (Json{{"servers", {{{"num_rounds", 5}}}}}));
  EXPECT_EQ(Overridden(Json::object(), "a.args.optimizer.args.lr=0.1"),
            Json::parse(R"({"a": {"args": {"optimizer": {"args": {"lr": 0.1}}}}})"));
}

TEST(ApplyOverrideTest, TheValueIsJsonOrElseText) {
  EXPECT_EQ(Overridden(Json::object(), "x=true").at("x"), true);
  EXPECT_EQ(Overridden(Json::object(), "x=\"5\"").at("x"), "5");
  EXPECT_EQ(Overridden(Json::object(), "x=[1, 2]").at("x"), (Json{1, 2}));
  EXPECT_EQ(Overridden(Json::object(), "x=host:8002").at("x"), "host:8002");
  EXPECT_EQ(Overridden(Json::object(), "x=a=b").at("x"), "a=b");
  EXPECT_EQ(Overridden(Json::object(), "x=").at("x"), "");
}

TEST(ApplyOverrideTest, APointerNamesKeysWithDots) {
  EXPECT_EQ(Overridden(Json::object(), "/weights/site.a=2"), Json::parse(R"({"weights": {"site.a": 2}})"));
}

TEST(ApplyOverrideTest, WhatIsNoAssignmentIsRefused) {
  Json json = {{"a", 1}, {"list", {1}}};
  for (const std::string_view assignment :
       {"", "a", "=1", ".a=1", "a..b=1", "a.=1", "a.b=1", "list.2=1", "list.x=1", "a=\xff"}) {
    const Status status = ApplyOverride(json, assignment);
    ASSERT_FALSE(status.has_value()) << assignment;
    EXPECT_THAT(status.error().message(), HasSubstr("--set ")) << assignment;
  }
  EXPECT_EQ(json, (Json{{"a", 1}, {"list", {1}}}));
}

TEST(ApplyOverrideTest, TheDocumentRemembersWhereTheValueIsFrom) {
  auto document = JsonDocument::Parse(R"({"a": {"b": 1}})", "c.json").value();
  ASSERT_TRUE(ApplyOverride(document, "a.b=2").has_value());
  EXPECT_EQ(document.Wrong("/a/b", "is two").message(), "--set a.b=2: a.b: is two");
}

TEST(ExpandVariablesTest, ReplacesInEveryString) {
  auto document =
      JsonDocument::Parse(R"({"ROOT": "/data", "N_2": 7, "a": ["{ROOT}/x/{ROOT}", {"b": "{N_2}", "c": "n{N_2}"}]})",
                          "c.json")
          .value();
  ASSERT_TRUE(ExpandVariables(document, {}).has_value());
  EXPECT_EQ(document.json(), Json::parse(R"({"a": ["/data/x//data", {"b": 7, "c": "n7"}]})"));
  EXPECT_EQ(document.Where("/a/1/b"), "c.json:1:60");
}

TEST(ExpandVariablesTest, TheDocumentsOwnComeFirst) {
  auto document = JsonDocument::Parse(R"({"A": "own", "x": "{A} {B}"})", "c.json").value();
  ASSERT_TRUE(ExpandVariables(document, {{"A", "outer"}, {"B", "{A}"}}).has_value());
  EXPECT_EQ(document.json(), (Json{{"x", "own {A}"}}));
}

TEST(ExpandVariablesTest, OtherBracesAreLeftAlone) {
  const std::string text = R"({"x": ["a{2}", "{}", "{", "}{", "{lower}", "{1A}", "{a {2}"]})";
  auto document = JsonDocument::Parse(text, "c.json").value();
  ASSERT_TRUE(ExpandVariables(document, {}).has_value());
  EXPECT_EQ(document.json(), Json::parse(text));
}

TEST(ExpandVariablesTest, AnUnknownVariableIsRefusedWithTheNearest) {
  auto document = JsonDocument::Parse(R"({"x": {"y": "{MMAR_CKPT_DIR}"}})", "c.json").value();
  const Status status = ExpandVariables(document, {{"MMAR_CKPT_DIRS", "m"}});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message(),
            "c.json:1:13: x.y: there is no variable {MMAR_CKPT_DIR}; did you mean 'MMAR_CKPT_DIRS'?");
}

TEST(ExpandVariablesTest, AListIsNoVariable) {
  auto document = JsonDocument::Parse(R"({"X": [1]})", "c.json").value();
  EXPECT_THAT(ExpandVariables(document, {}).error().message(), HasSubstr("c.json:1:7: X: "));
}

}  // namespace
}  // namespace fed_learn
