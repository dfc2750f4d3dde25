#include "aggregation/maximum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fed_learn {
namespace {

Weight Of(double weight) {
  const FixedWeight fixed = FixedWeight::From(weight).value();
  return {.addend = fixed, .divisor = fixed};
}

template <typename T>
Tensor Values(const std::vector<T>& values) {
  return Tensor::Of<T>({static_cast<std::int64_t>(values.size())}, values);
}

template <typename T>
std::vector<T> Largest(UpdateKind kind, const std::vector<T>& start, const std::vector<std::vector<T>>& updates,
                       double weight = 1) {
  Maximum sum;
  EXPECT_TRUE(sum.Begin(Values(start), kind).has_value());
  for (const std::vector<T>& update : updates) {
    EXPECT_TRUE(sum.Stage(Values(update), Of(weight)).has_value());
    sum.Commit(Values(update), Of(weight));
  }
  const Tensor result = sum.Finish({}).value();
  return {result.values<T>().begin(), result.values<T>().end()};
}

TEST(MaximumTest, CounterTakesTheLargestLocalValue) {
  using I64 = std::vector<std::int64_t>;
  EXPECT_EQ(Largest<std::int64_t>(UpdateKind::kDifference, {100, 7}, {{10, 0}, {30, 0}, {20, 0}}), (I64{130, 7}));
  EXPECT_EQ(Largest<std::int64_t>(UpdateKind::kWeights, {100, 7}, {{110, -9}, {130, -8}}), (I64{130, -8}));
}

TEST(MaximumTest, EndsOfTheTypesOrderRightly) {
  constexpr auto kMaxU = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(Largest<std::uint64_t>(UpdateKind::kWeights, {0, 0}, {{kMaxU, 0}, {1, 1}}),
            (std::vector<std::uint64_t>{kMaxU, 1}));
  EXPECT_EQ(Largest<std::uint8_t>(UpdateKind::kDifference, {250}, {{10}, {1}}), (std::vector<std::uint8_t>{251}));
}

TEST(MaximumTest, FloatsOrderAcrossZero) {
  EXPECT_EQ(Largest<float>(UpdateKind::kWeights, {0, 0}, {{-1, -3}, {-2, 1}}), (std::vector<float>{-1, 1}));
  EXPECT_EQ(Largest<double>(UpdateKind::kDifference, {10}, {{-1}, {-2}}), (std::vector<double>{9}));
  for (const auto& order : {std::vector<std::vector<float>>{{0.0F}, {-0.0F}}, {{-0.0F}, {0.0F}}}) {
    EXPECT_FALSE(std::signbit(Largest<float>(UpdateKind::kWeights, {1}, order)[0]));
  }
}

TEST(MaximumTest, SitesWithoutWeightAndNobodyKeepTheStart) {
  EXPECT_EQ(Largest<std::int32_t>(UpdateKind::kWeights, {5}, {}), (std::vector<std::int32_t>{5}));
  EXPECT_EQ(Largest<std::int32_t>(UpdateKind::kWeights, {5}, {{9}}, 0), (std::vector<std::int32_t>{5}));
  EXPECT_TRUE(Largest<std::int32_t>(UpdateKind::kWeights, {}, {{}}).empty());
}

TEST(MaximumTest, NanIsRefused) {
  Maximum sum;
  ASSERT_TRUE(sum.Begin(Values<float>({0, 0}), UpdateKind::kWeights).has_value());
  const auto staged = sum.Stage(Values<float>({0, std::nanf("")}), Of(1));
  ASSERT_FALSE(staged.has_value());
  EXPECT_NE(staged.error().message().find("element 1"), std::string::npos);
}

}  // namespace
}  // namespace fed_learn
