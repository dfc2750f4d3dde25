#include "aggregation/integer_sum.h"

#include <gtest/gtest.h>

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
struct Sent {
  std::vector<T> values;
  double weight;
};

template <typename T>
std::vector<T> Mean(UpdateKind kind, const std::vector<T>& start, const std::vector<Sent<T>>& updates) {
  IntegerSum sum;
  EXPECT_TRUE(sum.Begin(Values(start), kind).has_value());
  for (const Sent<T>& update : updates) {
    EXPECT_TRUE(sum.Stage(Values(update.values), Of(update.weight)).has_value());
    sum.Commit(Values(update.values), Of(update.weight));
  }
  const Tensor result = sum.Finish({}).value();
  return {result.values<T>().begin(), result.values<T>().end()};
}

TEST(IntegerSumTest, MeanIsRoundedToNearestWithTiesToEven) {
  using I32 = std::vector<std::int32_t>;
  const std::vector<Sent<std::int32_t>> updates{{{0, 1, -1, 4, -3}, 1}, {{1, 2, -2, 4, -4}, 1}};
  EXPECT_EQ(Mean(UpdateKind::kWeights, I32{0, 0, 0, 0, 0}, updates), (I32{0, 2, -2, 4, -4}));
  EXPECT_EQ(Mean(UpdateKind::kWeights, I32{1, 1, 7, 1, 9}, updates), (I32{0, 2, -2, 4, -4}));
  EXPECT_EQ(Mean(UpdateKind::kDifference, I32{1, 0, 0, 0, 0}, updates), (I32{2, 2, -2, 4, -4}));
}

TEST(IntegerSumTest, WeightsCountExactly) {
  using I64 = std::vector<std::int64_t>;
  EXPECT_EQ(Mean<std::int64_t>(UpdateKind::kWeights, {0}, {{{10}, 3}, {{20}, 1}}), (I64{12}));
  EXPECT_EQ(Mean<std::int64_t>(UpdateKind::kWeights, {0}, {{{10}, 0.75}, {{20}, 0.25}}), (I64{12}));
}

TEST(IntegerSumTest, DifferencesThatWrappedAreUnderstood) {
  using U8 = std::vector<std::uint8_t>;
  EXPECT_EQ(Mean<std::uint8_t>(UpdateKind::kDifference, {200}, {{{static_cast<std::uint8_t>(10 - 200)}, 1}}), (U8{10}));
  using I8 = std::vector<std::int8_t>;
  EXPECT_EQ(Mean<std::int8_t>(UpdateKind::kDifference, {-128}, {{{-1}, 1}}), (I8{127}));
}

TEST(IntegerSumTest, EndsOfTheTypesSurvive) {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMaxU = std::numeric_limits<std::uint64_t>::max();
  using I64 = std::vector<std::int64_t>;
  using U64 = std::vector<std::uint64_t>;
  EXPECT_EQ(Mean<std::int64_t>(UpdateKind::kWeights, {kMin, 0}, {{{kMax, kMin}, 64}}), (I64{kMax, kMin}));
  EXPECT_EQ(Mean<std::uint64_t>(UpdateKind::kWeights, {0}, {{{kMaxU}, 1}, {{kMaxU}, 2}}), (U64{kMaxU}));
}

TEST(IntegerSumTest, NoElementsAndNoSenders) {
  EXPECT_TRUE(Mean<std::int16_t>(UpdateKind::kDifference, {}, {{{}, 1}}).empty());
  EXPECT_EQ(Mean<std::uint32_t>(UpdateKind::kDifference, {7}, {}), (std::vector<std::uint32_t>{7}));
  EXPECT_EQ(Mean<std::uint16_t>(UpdateKind::kWeights, {7}, {{{9}, 0}}), (std::vector<std::uint16_t>{7}));
}

TEST(IntegerSumTest, ProductBeyondTheSumIsRefused) {
  IntegerSum sum;
  ASSERT_TRUE(sum.Begin(Values<std::int64_t>({0}), UpdateKind::kWeights).has_value());
  const auto staged = sum.Stage(Values<std::int64_t>({std::int64_t{1} << 62}), Of(1e6));
  ASSERT_FALSE(staged.has_value());
  EXPECT_NE(staged.error().message().find("element 0"), std::string::npos);
}

}  // namespace
}  // namespace fed_learn
