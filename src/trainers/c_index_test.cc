#include "trainers/c_index.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace fed_learn {
namespace {

using Values = std::vector<double>;

std::optional<double> CIndex(const Values& times, const Values& events, const Values& risks) {
  return ConcordanceIndex(times, events, risks);
}

// The definition, pair by pair.
std::optional<double> CIndexByPairs(const Values& times, const Values& events, const Values& risks) {
  double concordant = 0;
  double known = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    for (std::size_t j = 0; j < times.size(); ++j) {
      const bool i_was_first = times[i] < times[j] || (times[i] == times[j] && events[j] == 0);
      if (i == j || events[i] == 0 || !i_was_first) continue;
      known += 1;
      concordant += risks[i] > risks[j] ? 1 : risks[i] == risks[j] ? 0.5 : 0;
    }
  }
  if (known == 0) return std::nullopt;
  return concordant / known;
}

TEST(CIndexTest, NobodyAndNoEventHaveNone) {
  EXPECT_FALSE(CIndex({}, {}, {}).has_value());
  EXPECT_FALSE(CIndex({1}, {1}, {0}).has_value());
  EXPECT_FALSE(CIndex({1, 2}, {0, 0}, {1, 2}).has_value());
  EXPECT_FALSE(CIndex({1, 2}, {0, 1}, {1, 2}).has_value());
}

TEST(CIndexTest, RightOrderIsOneAndWrongOrderZero) {
  EXPECT_EQ(CIndex({1, 2, 3}, {1, 1, 1}, {3, 2, 1}), 1.0);
  EXPECT_EQ(CIndex({1, 2, 3}, {1, 1, 1}, {1, 2, 3}), 0.0);
}

TEST(CIndexTest, EqualRisksCountHalf) { EXPECT_EQ(CIndex({1, 2}, {1, 1}, {5, 5}), 0.5); }

TEST(CIndexTest, CensoredAtTheTimeOfAnEventOutlivedIt) {
  EXPECT_EQ(CIndex({1, 1}, {1, 0}, {2, 1}), 1.0);
  EXPECT_EQ(CIndex({1, 1}, {1, 0}, {1, 2}), 0.0);
}

TEST(CIndexTest, TwoEventsAtOneTimeAreNotCompared) {
  EXPECT_FALSE(CIndex({1, 1}, {1, 1}, {1, 2}).has_value());
  EXPECT_EQ(CIndex({1, 1, 2}, {1, 1, 0}, {2, 1, 0}), 1.0);
}

// Pairs known: (3, 5), (3, censored 3), (3, 8), (5, 8); concordant 1, 1, 1 and 0.
TEST(CIndexTest, SmallCaseByHand) { EXPECT_EQ(CIndex({5, 3, 3, 8}, {1, 1, 0, 0}, {1, 2, 1, 1.5}), 0.75); }

// 0.5217391304347826 is lifelines 0.30's concordance_index(times, -risks, events).
TEST(CIndexTest, ManyTiesAsLifelines) {
  const Values times{5, 3, 6, 3, 6, 6, 6, 5, 1, 4, 2, 6, 1, 2};
  const Values events{0, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0};
  const Values risks{-1, -0.5, 0.5, 0.5, 0.25, -0.5, -0.5, -1, -1, -0.5, -0.5, -0.5, -0.5, 0};
  EXPECT_DOUBLE_EQ(CIndex(times, events, risks).value(), 0.5217391304347826);
}

TEST(CIndexTest, AgreesWithTheDefinition) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    Values times;
    Values events;
    Values risks;
    const std::uint64_t count = random.Below(30);
    for (std::uint64_t i = 0; i < count; ++i) {
      times.push_back(static_cast<double>(random.Below(10)));
      events.push_back(random.Chance(0.5) ? 1 : 0);
      risks.push_back(static_cast<double>(random.Below(8)) - 4);
    }
    EXPECT_EQ(CIndex(times, events, risks), CIndexByPairs(times, events, risks));
  }
}

}  // namespace
}  // namespace fed_learn
