#include "components/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "components/model_source.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EmptySource : public ModelSource {
 public:
  Result<ModelData> Build() override { return ModelData(); }
};

Registry OneSource() {
  Registry registry;
  registry.sources.Add("EmptySource",
                       [](const Json& json, const ComponentServices&) -> Result<std::unique_ptr<ModelSource>> {
                         Args args(json);
                         args.Int("seed", 1);
                         RETURN_IF_ERROR(args.Done());
                         return std::make_unique<EmptySource>();
                       });
  return registry;
}

TEST(ComponentSpecTest, ReadsNameAndArguments) {
  const auto spec = ParseComponentSpec({{"name", "X"}, {"args", {{"bins", 3}}}}, "server.aggregator").value();
  EXPECT_EQ(spec.name, "X");
  EXPECT_EQ(spec.args.at("bins"), 3);
  EXPECT_TRUE(ParseComponentSpec({{"name", "X"}}, "here").value().args.empty());
  EXPECT_TRUE(ParseComponentSpec({{"name", "X"}, {"args", nullptr}}, "here").value().args.is_object());
}

TEST(ComponentSpecTest, WhatIsNoComponentIsRefusedWithItsPlace) {
  for (const Json& json : {Json(3), Json::array(), Json::object(), Json{{"name", ""}}, Json{{"name", 3}},
                           Json{{"name", "X"}, {"args", Json::array()}}, Json{{"name", "X"}, {"arg", 1}}}) {
    const auto spec = ParseComponentSpec(json, "server.model_saver");
    ASSERT_FALSE(spec.has_value()) << json;
    EXPECT_EQ(spec.error().kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(spec.error().message(), HasSubstr("server.model_saver"));
  }
  const Json misspelt = {{"name", "X"}, {"arg", 1}};
  EXPECT_THAT(ParseComponentSpec(misspelt, "here").error().message(), HasSubstr("'arg'"));
}

TEST(RegistryTest, MakesWhatWasRegistered) {
  const Registry registry = OneSource();
  EXPECT_THAT(registry.sources.names(), ElementsAre("EmptySource"));
  const auto source = registry.sources.Make({.name = "EmptySource"}, {});
  ASSERT_TRUE(source.has_value());
  EXPECT_TRUE((*source)->Build().value().empty());
}

TEST(RegistryTest, AnUnknownNameIsRefusedWithTheNearest) {
  const auto source = OneSource().sources.Make({.name = "EmptySourse"}, {});
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(source.error().message(), HasSubstr("'EmptySource'"));
}

TEST(RegistryTest, AComponentByPathIsRefusedUntilTheBuildHasThem) {
  const auto source = OneSource().sources.Make({.name = "my_sources.EmptySource"}, {});
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(source.error().message(), HasSubstr("'my_sources.EmptySource' is a component by path"));
}

TEST(RegistryTest, AFactorysErrorNamesTheComponent) {
  const auto source = OneSource().sources.Make({.name = "EmptySource", .args = {{"seeed", 3}}}, {});
  ASSERT_FALSE(source.has_value());
  EXPECT_THAT(source.error().message(), HasSubstr("EmptySource: "));
  EXPECT_THAT(source.error().message(), HasSubstr("'seeed'"));
}

TEST(ArgsTest, GivesValuesAndWhatIsMeantByAbsence) {
  const Json json = {{"bins", 7},   {"rate", 0.5},       {"on", true},
                     {"path", "a"}, {"map", {{"x", 1}}}, {"nothing", nullptr}};
  Args args(json);
  EXPECT_EQ(args.Int("bins", 1), 7);
  EXPECT_EQ(args.Int("absent", 1), 1);
  EXPECT_EQ(args.Int("nothing", 5), 5);
  EXPECT_EQ(args.Number("rate", 1), 0.5);
  EXPECT_EQ(args.Number("bins", 1), 7.0);
  EXPECT_TRUE(args.Bool("on", false));
  EXPECT_EQ(args.String("path", "b"), "a");
  EXPECT_EQ(args.String("other", "b"), "b");
  EXPECT_EQ(args.Value("map"), Json({{"x", 1}}));
  EXPECT_TRUE(args.Value("none").is_null());
  EXPECT_TRUE(args.Done().has_value());
}

TEST(ArgsTest, NoArgumentsAtAllAreFine) {
  const Json null = nullptr;
  Args args(null);
  EXPECT_EQ(args.Int("bins", 3), 3);
  EXPECT_TRUE(args.Done().has_value());
}

TEST(ArgsTest, AWrongTypeIsRefusedWithNameAndValue) {
  const Json json = {{"bins", "many"}, {"huge", std::uint64_t{1} << 63}};
  Args args(json);
  args.Int("bins", 1);
  args.Int("huge", 1);
  EXPECT_THAT(args.Done().error().message(), HasSubstr("args.bins must be a whole number, not \"many\""));
  Args second(json);
  second.Value("bins");
  second.Int("huge", 1);
  EXPECT_THAT(second.Done().error().message(), HasSubstr("args.huge"));
}

TEST(ArgsTest, ANameNobodyAskedForIsRefused) {
  const Json json = {{"momentun", 0.9}};
  Args args(json);
  args.Number("momentum", 0);
  EXPECT_THAT(args.Done().error().message(), HasSubstr("'momentun'"));
}

TEST(ArgsTest, AFactorysOwnComplaintIsReported) {
  const Json json = {{"bins", 0}};
  Args args(json);
  if (args.Int("bins", 1) < 1) args.Fail("bins", "at least 1");
  EXPECT_THAT(args.Done().error().message(), HasSubstr("args.bins must be at least 1, not 0"));
}

TEST(ArgsTest, WhatIsNoObjectIsRefused) {
  const Json json = {1, 2};
  Args args(json);
  args.Int("bins", 1);
  EXPECT_FALSE(args.Done().has_value());
}

}  // namespace
}  // namespace fed_learn
