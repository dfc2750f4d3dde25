#include "client/difference.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

namespace fed_learn {
namespace {

Tensor Bits(DType dtype, const std::vector<std::uint16_t>& bits) {
  Tensor tensor = Tensor::Allocate(dtype, {static_cast<std::int64_t>(bits.size())});
  for (std::size_t i = 0; i < bits.size(); ++i) tensor.mutable_values<std::uint16_t>()[i] = bits[i];
  return tensor;
}

template <typename T>
Tensor Values(const std::vector<T>& values) {
  return Tensor::Of<T>({static_cast<std::int64_t>(values.size())}, values);
}

TEST(DifferenceTest, FloatsAreSubtracted) {
  EXPECT_TRUE(Difference(Values<float>({3, 1}), Values<float>({1, 4})) == Values<float>({2, -3}));
  EXPECT_TRUE(Difference(Values<double>({0.5}), Values<double>({0.25})) == Values<double>({0.25}));
  EXPECT_EQ(Difference(Values<float>({}), Values<float>({})).elements(), 0);
}

TEST(DifferenceTest, HalfIsRoundedToNearest) {
  // 1.5 − 0.5, the smallest subnormal − 0, 65504 − −65504, 2048 − 0.5 (a tie, to even), 1 − 1, infinity − 1.
  const auto local = Bits(DType::kF16, {0x3e00, 0x0001, 0x7bff, 0x6800, 0x3c00, 0x7c00});
  const auto global = Bits(DType::kF16, {0x3800, 0x0000, 0xfbff, 0x3800, 0x3c00, 0x3c00});
  EXPECT_TRUE(Difference(local, global) == Bits(DType::kF16, {0x3c00, 0x0001, 0x7c00, 0x6800, 0x0000, 0x7c00}));
}

TEST(DifferenceTest, EveryHalfLessZeroIsItself) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const bool is_nan = (bits & 0x7fff) > 0x7c00;
    const auto value = static_cast<std::uint16_t>(bits);
    const Tensor same = Difference(Bits(DType::kF16, {value}), Bits(DType::kF16, {0}));
    if (is_nan) {
      EXPECT_GT(same.values<std::uint16_t>()[0] & 0x7fff, 0x7c00);
    } else {
      EXPECT_EQ(same.values<std::uint16_t>()[0], value);
    }
  }
}

TEST(DifferenceTest, BFloatIsRoundedToNearest) {
  // 2 − 1; 256 − 0.5 (below half of the last place), NaN − 1.
  const auto local = Bits(DType::kBF16, {0x4000, 0x4380, 0x7fc0});
  const auto global = Bits(DType::kBF16, {0x3f80, 0x3e80, 0x3f80});
  const Tensor difference = Difference(local, global);
  EXPECT_EQ(difference.values<std::uint16_t>()[0], 0x3f80);
  EXPECT_EQ(difference.values<std::uint16_t>()[1], 0x4380);
  EXPECT_GT(difference.values<std::uint16_t>()[2] & 0x7fff, 0x7f80);
}

TEST(DifferenceTest, IntegersWrapAround) {
  EXPECT_TRUE(Difference(Values<std::int64_t>({5}), Values<std::int64_t>({7})) == Values<std::int64_t>({-2}));
  EXPECT_TRUE(Difference(Values<std::uint8_t>({1}), Values<std::uint8_t>({2})) == Values<std::uint8_t>({255}));
  constexpr auto largest = std::numeric_limits<std::int32_t>::max();
  EXPECT_TRUE(Difference(Values<std::int32_t>({-2}), Values<std::int32_t>({largest})) ==
              Values<std::int32_t>({largest}));
}

TEST(DifferenceTest, BoolsSayWhetherTheyDiffer) {
  Tensor local = Tensor::Zeros(DType::kBool, {2});
  local.mutable_bytes()[0] = std::byte{1};
  const Tensor difference = Difference(local, Tensor::Zeros(DType::kBool, {2}));
  EXPECT_TRUE(difference == local);
}

TEST(DifferenceTest, RolesAreTheGlobalModels) {
  ModelData global;
  ASSERT_TRUE(global.Add("a", Values<float>({1}), Role::kBuffer).has_value());
  ASSERT_TRUE(global.Add("b", Values<float>({1}), Role::kParameter).has_value());
  ModelData local;
  ASSERT_TRUE(local.Add("a", Values<float>({4}), Role::kParameter).has_value());
  const auto difference = Difference(local, global);
  ASSERT_TRUE(difference.has_value());
  ASSERT_EQ(difference->size(), 1u);
  EXPECT_EQ((*difference)[0].role, Role::kBuffer);
  EXPECT_TRUE((*difference)[0].tensor == Values<float>({3}));
}

}  // namespace
}  // namespace fed_learn
