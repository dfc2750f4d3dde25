#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace fed_learn {
namespace {

TEST(RandomTest, OneSeedGivesTheSameNumbersEverywhere) {
  // xoshiro256++ from splitmix64(0), as the authors' C code gives them.
  Random random(0);
  EXPECT_EQ(random.Next(), 0x53175d61490b23dfu);
  EXPECT_EQ(random.Next(), 0x61da6f3dc380d507u);
  EXPECT_EQ(random.Next(), 0x5c0fdf91ec9a7bfcu);
}

TEST(RandomTest, DifferentSeedsGiveDifferentNumbers) { EXPECT_NE(Random(1).Next(), Random(2).Next()); }

TEST(RandomTest, BelowReachesEveryValueAboutEquallyOften) {
  Random random(1);
  std::vector<int> count(7);
  for (int i = 0; i < 70'000; ++i) ++count[random.Below(7)];
  for (const int n : count) EXPECT_NEAR(n, 10'000, 500);
}

TEST(RandomTest, BelowOneIsZero) { EXPECT_EQ(Random(3).Below(1), 0u); }

TEST(RandomTest, BelowTheLargestBoundStaysBelowIt) {
  Random random(4);
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below(~std::uint64_t{0}), ~std::uint64_t{0});
}

TEST(RandomTest, UniformStaysInItsInterval) {
  Random random(5);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.Uniform();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(RandomTest, NormalIsBoxAndMullersOfTwoUniforms) {
  Random random(6);
  Random uniforms(6);
  for (int i = 0; i < 10'000; ++i) {
    const double u = uniforms.Uniform();
    const double v = uniforms.Uniform();
    const double expected = std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * M_PI * v);
    ASSERT_NEAR(random.Normal(), expected, 1e-14 * (1 + std::abs(expected))) << u << " " << v;
  }
}

TEST(RandomTest, NormalHasMeanZeroAndVarianceOne) {
  Random random(7);
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100'000;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.Normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.02);
  EXPECT_NEAR(squares / kCount, 1, 0.03);
}

TEST(RandomTest, NoChanceAndCertainty) {
  Random random(8);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(random.Chance(0));
    EXPECT_TRUE(random.Chance(1));
  }
}

TEST(DeriveSeedTest, EverySeedPurposeAndIndexCounts) {
  std::set<std::uint64_t> seeds;
  for (const std::uint64_t seed : {0, 1}) {
    for (const std::string_view purpose : {"", "site_1", "site_2", "site_11"}) {
      for (const std::uint64_t index : {0, 1, 2}) seeds.insert(DeriveSeed(seed, purpose, index));
    }
  }
  EXPECT_EQ(seeds.size(), 24u);
  EXPECT_EQ(DeriveSeed(1, "site_1", 2), DeriveSeed(1, "site_1", 2));
}

}  // namespace
}  // namespace fed_learn
