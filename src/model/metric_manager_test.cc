#include "model/metric_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(MetricManagerTest, EmptyEncodesToNothing) {
  EXPECT_TRUE(MetricManager().Encode().empty());
  EXPECT_TRUE(DecodeMetrics({}).value().ToMap().empty());
}

TEST(MetricManagerTest, GroupsMergeAndTheNewerValueWins) {
  MetricManager metrics;
  ASSERT_TRUE(metrics.AddGroup("train", {{"loss", 1.0}, {"dice", 0.5}}).has_value());
  ASSERT_TRUE(metrics.AddGroup("train", {{"loss", 0.5}}).has_value());
  EXPECT_THAT(*metrics.GetGroup("train"), ElementsAre(Pair("dice", 0.5), Pair("loss", 0.5)));
  EXPECT_EQ(metrics.GetGroup("validation"), std::nullopt);
}

TEST(MetricManagerTest, BadNamesAreRefusedWithTheirPath) {
  EXPECT_THAT(MetricManager::From({{"train", {{"", 1}}}}).error().message(), HasSubstr("metrics['train']"));
  EXPECT_FALSE(MetricManager::From({{"", {{"loss", 1}}}}).has_value());
  EXPECT_FALSE(MetricManager::From({{"a\xff", {}}}).has_value());
  MetricManager metrics;
  EXPECT_FALSE(metrics.AddGroup("g", {{"ok", 1}, {"\xff", 1}}).has_value());
  EXPECT_EQ(metrics.GetGroup("g"), std::nullopt);
}

TEST(MetricManagerTest, NotANumberAndInfinityAreLegal) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto metrics = MetricManager::From({{"g", {{"nan", std::nan("")}, {"inf", infinity}}}});
  ASSERT_TRUE(metrics.has_value());
  EXPECT_TRUE(std::isnan(metrics->Encode().at("g/nan")));
  EXPECT_EQ(metrics->Encode().at("g/inf"), infinity);
}

TEST(MetricManagerTest, SeparatorsInNamesAreEscaped) {
  const MetricMap map = {{"a/b", {{"100%", 1.0}, {"x\ny", 2.0}, {"größe", 3.0}}}};
  const MetricManager metrics = MetricManager::From(map).value();
  EXPECT_THAT(metrics.Encode(),
              ElementsAre(Pair("a%2Fb/100%25", 1.0), Pair("a%2Fb/größe", 3.0), Pair("a%2Fb/x%0Ay", 2.0)));
  EXPECT_EQ(DecodeMetrics(metrics.Encode()).value().ToMap(), map);
}

TEST(MetricManagerTest, KeysThatAreNotOneGroupAndOneNameAreRefused) {
  for (const char* key : {"loss", "a/b/c", "/loss", "train/", "", "a/%2", "a/%", "a/%zz"}) {
    const auto metrics = DecodeMetrics({{key, 1.0}});
    ASSERT_FALSE(metrics.has_value()) << key;
    EXPECT_EQ(metrics.error().kind(), ErrorKind::kInvalidArgument) << key;
  }
  EXPECT_THAT(DecodeMetrics({{"a/%zz", 1.0}}).error().message(), HasSubstr("'a/%zz'"));
}

TEST(MetricManagerTest, TwoSpellingsOfOneMetricAreRefused) {
  EXPECT_FALSE(DecodeMetrics({{"a/b", 1.0}, {"a/%62", 2.0}}).has_value());
}

}  // namespace
}  // namespace fed_learn
