#include "trainers/site_args.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Json kShared{{"data", "d.csv"},
                   {"split", {{"column", "fold"}, {"train", "all"}}},
                   {"sites", {{"south", {{"split", {{"train", "train_1"}}}}}, {"north", Json::object()}}}};

TEST(SiteArgsTest, OwnArgumentsAreMergedOverTheSharedOnes) {
  const Json expected{{"data", "d.csv"}, {"split", {{"column", "fold"}, {"train", "train_1"}}}};
  EXPECT_EQ(ArgsOfSite(kShared, "south").value(), expected);
}

TEST(SiteArgsTest, SiteWithNothingOfItsOwnHasTheSharedOnes) {
  EXPECT_EQ(ArgsOfSite(kShared, "north").value()["split"]["train"], "all");
}

TEST(SiteArgsTest, WithoutSitesEverySiteHasTheSame) {
  const Json args{{"data", "d.csv"}};
  EXPECT_EQ(ArgsOfSite(args, "anyone").value(), args);
  EXPECT_TRUE(SitesOf(args).empty());
}

TEST(SiteArgsTest, SiteThatIsNotThereIsNamedWithTheNearest) {
  const auto args = ArgsOfSite(kShared, "sout");
  ASSERT_FALSE(args.has_value());
  EXPECT_EQ(args.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(args.error().message(), HasSubstr("'south'"));
}

TEST(SiteArgsTest, SitesThatAreNoObjectAreRefused) {
  EXPECT_THAT(ArgsOfSite({{"sites", 3}}, "south").error().message(), HasSubstr("args.sites"));
}

TEST(SiteArgsTest, SitesAreSorted) { EXPECT_THAT(SitesOf(kShared), ElementsAre("north", "south")); }

}  // namespace
}  // namespace fed_learn
