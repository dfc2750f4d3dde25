#include "aggregation/float_sum.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "base/random.h"

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

Tensor NormalF32(Random& random, std::size_t size, double deviation) {
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(random.Normal() * deviation);
  return Values(values);
}

// A sum of one tensor in a round.
class FloatSumTest : public testing::Test {
 protected:
  void Begin(const Tensor& start, UpdateKind kind = UpdateKind::kDifference) {
    // None counts as small, so that tests of a few elements see what a large tensor does.
    sum_ = std::make_unique<FloatSum>(start.dtype(), FloatSumOptions{.small_elements_max = -1});
    ASSERT_TRUE(sum_->Begin(start, kind).has_value());
  }
  void Add(const Tensor& update, double weight) {
    const auto staged = sum_->Stage(update, Of(weight));
    ASSERT_TRUE(staged.has_value()) << staged.error().message();
    sum_->Commit(update, Of(weight));
  }
  std::string Refuse(const Tensor& update, double weight) {
    const auto staged = sum_->Stage(update, Of(weight));
    EXPECT_FALSE(staged.has_value());
    return staged.has_value() ? "" : staged.error().message();
  }
  Tensor Finish(const StepFunction& step = {}) {
    auto result = sum_->Finish(step);
    EXPECT_TRUE(result.has_value());
    return result.value_or(Tensor());
  }

  std::unique_ptr<FloatSum> sum_;
};

TEST_F(FloatSumTest, QuantumFollowsTheLargestStartingMagnitude) {
  Begin(Values<float>({0.25F, -3.0F}));
  EXPECT_EQ(sum_->quantum_exponent(), 1 - 44);
  EXPECT_FALSE(sum_->is_wide());
  Begin(Values<double>({0.25, -3.0}));
  EXPECT_EQ(sum_->quantum_exponent(), -72);
  EXPECT_TRUE(sum_->is_wide());
  Begin(Values<float>({0.0F, -0.0F}));
  EXPECT_EQ(sum_->quantum_exponent(), -72);
  EXPECT_TRUE(sum_->is_wide());
  Begin(Values<float>({1e-45F}));
  EXPECT_EQ(sum_->quantum_exponent(), -72);
  Begin(Values<double>({1e6}));
  EXPECT_EQ(sum_->quantum_exponent(), 19 - 80);
  Begin(Values<float>({3e38F}));
  EXPECT_EQ(sum_->quantum_exponent(), 127 - 44);
}

TEST_F(FloatSumTest, SmallTensorHoldsTheRangeOfBatchNormStatistics) {
  FloatSum sum(DType::kF32, {});
  const Tensor statistics = Values<float>({3e9F, 1.1e-3F, 7e-6F});
  ASSERT_TRUE(sum.Begin(statistics, UpdateKind::kWeights).has_value());
  EXPECT_TRUE(sum.is_wide());
  for (int site = 0; site < 3; ++site) {
    ASSERT_TRUE(sum.Stage(statistics, Of(1)).has_value());
    sum.Commit(statistics, Of(1));
  }
  EXPECT_EQ(sum.Finish({}).value(), statistics);
}

TEST_F(FloatSumTest, SumIsThatOfAnInt128Reference) {
  Random random(1);
  for (const std::size_t size : {0, 1, 2047, 2048, 5000}) {
    const Tensor start = NormalF32(random, size, 1);
    Begin(start);
    std::vector<Int128> expected(size, 0);
    double weights = 0;
    for (int site = 0; site < 9; ++site) {
      const Tensor update = NormalF32(random, size, 0.01);
      const double weight = static_cast<double>(random.Below(5000));
      Add(update, weight);
      weights += weight;
      for (std::size_t i = 0; i < size; ++i) {
        const double product = static_cast<double>(update.values<float>()[i]) * weight;
        expected[i] += static_cast<Int128>(std::nearbyint(std::ldexp(product, -sum_->quantum_exponent())));
      }
    }
    const Tensor result = Finish();
    for (std::size_t i = 0; i < size; ++i) {
      const double mean = static_cast<double>(expected[i]) / std::ldexp(weights, -sum_->quantum_exponent());
      ASSERT_EQ(result.values<float>()[i], static_cast<float>(static_cast<double>(start.values<float>()[i]) + mean));
    }
  }
}

TEST_F(FloatSumTest, MeanOfF32IsTheNearestFloatToTheLongDoubleMean) {
  Random random(2);
  const Tensor start = NormalF32(random, 3000, 1);
  Begin(start, UpdateKind::kWeights);
  std::vector<long double> sums(3000, 0);
  long double weights = 0;
  for (int site = 0; site < 20; ++site) {
    const Tensor update = NormalF32(random, 3000, 1);
    const double weight = 1 + static_cast<double>(random.Below(300));
    Add(update, weight);
    weights += weight;
    for (std::size_t i = 0; i < sums.size(); ++i)
      sums[i] += static_cast<long double>(update.values<float>()[i]) * weight;
  }
  const Tensor result = Finish();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto mean = static_cast<double>(sums[i] / weights);
    // Half a unit in the last place of a float, and the quantum.
    ASSERT_NEAR(result.values<float>()[i], mean, std::abs(mean) * 0x1p-24 + 0x1p-43);
  }
}

TEST_F(FloatSumTest, MeanOfF64IsTheLongDoubleMean) {
  Random random(3);
  std::vector<double> start(500);
  for (double& value : start) value = random.Normal();
  Begin(Values(start));
  std::vector<long double> sums(500, 0);
  for (int site = 1; site <= 7; ++site) {
    std::vector<double> update(500);
    for (double& value : update) value = random.Normal() * 0.1;
    Add(Values(update), site);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<long double>(update[i]) * site;
  }
  const Tensor result = Finish();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto expected = static_cast<double>(start[i] + sums[i] / 28);
    ASSERT_NEAR(result.values<double>()[i], expected, std::abs(expected) * 0x1p-52 + 0x1p-54);
  }
}

TEST_F(FloatSumTest, EqualWeightsOfAllSitesComeBackAsTheyWere) {
  Random random(4);
  const Tensor model = NormalF32(random, 4000, 0.3);
  Begin(model, UpdateKind::kWeights);
  for (const double weight : {1.0, 7.0, 0.1, 1000.0}) Add(model, weight);
  EXPECT_EQ(Finish(), model);
}

TEST_F(FloatSumTest, SumThatLeavesInt64IsWidenedWithoutAChangeOfValue) {
  const Tensor start = Values<float>({1.0F, 0.5F, 0.25F});
  const Tensor update = Values<float>({1.0F, -1e-5F, 0.001F});
  Begin(start);
  for (int i = 0; i < 16; ++i) Add(update, 1000);
  EXPECT_FALSE(sum_->is_wide());
  const Tensor narrow = Finish();

  Begin(start);
  const Tensor large = Values<float>({300000.0F, 1e6F, -1e6F});
  Add(update, 1000);
  Add(large, 1000);
  EXPECT_TRUE(sum_->is_wide());
  Add(Values<float>({-300000.0F, -1e6F, 1e6F}), 1000);
  for (int i = 0; i < 45; ++i) Add(update, 1000);
  // Two of 48 contributions cancel: 46/48 of the mean is left, and is exact where the halves are.
  const Tensor wide = Finish();
  EXPECT_EQ(wide.values<float>()[0], static_cast<float>(1.0 + 46.0 / 48.0));
  EXPECT_EQ(narrow.values<float>()[0], 2.0F);
}

TEST_F(FloatSumTest, WidenedOrNotTheOrderDoesNotMatter) {
  Random random(5);
  const Tensor start = NormalF32(random, 3000, 1);
  std::vector<Tensor> updates;
  for (int i = 0; i < 12; ++i) updates.push_back(NormalF32(random, 3000, i % 4 == 0 ? 1e6 : 0.01));
  Begin(start);
  for (const Tensor& update : updates) Add(update, 100);
  EXPECT_TRUE(sum_->is_wide());
  const Tensor forwards = Finish();
  Begin(start);
  for (auto update = updates.rbegin(); update != updates.rend(); ++update) Add(*update, 100);
  EXPECT_EQ(Finish(), forwards);
}

TEST_F(FloatSumTest, WidenedSumStaysWideInTheNextRoundWithTheSameResult) {
  const Tensor start = Values<float>({1.0F});
  const Tensor small = Values<float>({0.125F});
  Begin(start);
  Add(Values<float>({1e9F}), 1);
  EXPECT_TRUE(sum_->is_wide());
  Finish();
  ASSERT_TRUE(sum_->Begin(start, UpdateKind::kDifference).has_value());
  EXPECT_TRUE(sum_->is_wide());
  Add(small, 1);
  EXPECT_EQ(Finish().values<float>()[0], 1.125F);
}

// Sums are not cleared between rounds, but overwritten by the first contribution.
TEST_F(FloatSumTest, LastRoundsSumsAreNotSeenEvenAfterARefusal) {
  Random random(9);
  const std::size_t size = 7000;
  const Tensor start = NormalF32(random, size, 1);
  const Tensor update = NormalF32(random, size, 0.1);
  Begin(start);
  Add(update, 10);
  const Tensor expected = Finish();
  for (const double deviation : {0.1, 1e7}) {  // the second would widen
    Tensor bad = NormalF32(random, size, deviation);
    bad.mutable_values<float>()[size / 2] = std::nanf("");
    Begin(start);
    Add(NormalF32(random, size, 0.5), 3);
    Finish();
    ASSERT_TRUE(sum_->Begin(start, UpdateKind::kDifference).has_value());
    Refuse(bad, 100);
    Add(update, 10);
    EXPECT_EQ(Finish(), expected);
  }
}

TEST_F(FloatSumTest, TensorOfZerosTakesSmallAndLargeUpdates) {
  Begin(Values<float>({0, 0, 0}));
  Add(Values<float>({1e-6F, 1000.0F, 1e-20F}), 3);
  Add(Values<float>({1e-6F, 1000.0F, 1e-20F}), 5);
  const Tensor result = Finish();
  EXPECT_EQ(result.values<float>()[0], 1e-6F);
  EXPECT_EQ(result.values<float>()[1], 1000.0F);
  EXPECT_NEAR(result.values<float>()[2], 1e-20F, 1e-22F);
}

TEST_F(FloatSumTest, SubnormalAndHugeStartsWork) {
  Begin(Values<float>({1e-45F}));
  Add(Values<float>({1.0F}), 1);
  EXPECT_EQ(Finish().values<float>()[0], 1.0F);
  Begin(Values<float>({3e38F}));
  Add(Values<float>({-1e38F}), 1000);
  EXPECT_NEAR(Finish().values<float>()[0], 2e38F, 1e32F);
  Begin(Values<double>({1e308}));
  Add(Values<double>({-0.5e308}), 1000);
  EXPECT_NEAR(Finish().values<double>()[0], 0.5e308, 1e293);
}

TEST_F(FloatSumTest, HalfPrecisionMeansAreRoundedOnceToTheType) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const FloatKernels& kernels = BestKernels().For(dtype);
    const auto tensor_of = [&](std::vector<double> values) {
      Tensor tensor = Tensor::Allocate(dtype, {static_cast<std::int64_t>(values.size())});
      kernels.encode(values.data(), values.size(), tensor.mutable_bytes().data());
      return tensor;
    };
    Begin(tensor_of({1.0, 0.5, 0.0}));
    Add(tensor_of({0.25, 0.0, 1.0}), 1);
    Add(tensor_of({0.75, 0.5, 1.0}), 1);
    EXPECT_EQ(Finish(), tensor_of({1.5, 0.75, 1.0}));
  }
}

TEST_F(FloatSumTest, NanIsRefusedWithItsIndexAndLeavesNoTrace) {
  Random random(6);
  for (const std::size_t size : {1, 2048, 5000}) {
    const Tensor start = NormalF32(random, size, 1);
    const Tensor update = NormalF32(random, size, 0.1);
    Tensor bad = NormalF32(random, size, 1e7);  // would widen
    bad.mutable_values<float>()[size - 1] = std::nanf("");
    Begin(start);
    Add(update, 10);
    const Tensor expected = Finish();
    Begin(start);
    Add(update, 10);
    EXPECT_EQ(Refuse(bad, 100), "element " + std::to_string(size - 1) + " is NaN");
    EXPECT_EQ(Finish(), expected);
  }
}

TEST_F(FloatSumTest, InfinityIsRefusedWithItsIndex) {
  Begin(Values<float>({1, 1, 1}));
  EXPECT_EQ(Refuse(Values<float>({1, -HUGE_VALF, std::nanf("")}), 1), "element 1 is infinite");
}

TEST_F(FloatSumTest, UndoTakesBackWhatWasStaged) {
  Random random(7);
  for (const double deviation : {0.1, 1e8}) {
    const Tensor start = NormalF32(random, 3000, 1);
    const Tensor update = NormalF32(random, 3000, 0.1);
    const Tensor undone = NormalF32(random, 3000, deviation);
    Begin(start);
    Add(update, 10);
    const Tensor expected = Finish();
    Begin(start);
    ASSERT_TRUE(sum_->Stage(undone, Of(33.3)).has_value());
    sum_->Undo(undone, Of(33.3));
    Add(update, 10);
    EXPECT_EQ(Finish(), expected);
  }
}

TEST_F(FloatSumTest, ValueTooLargeForTheSumIsRefusedWhateverIsInIt) {
  Begin(Values<double>({1.0}));
  EXPECT_NE(Refuse(Values<double>({0x1p40}), 1).find("too large"), std::string::npos);
  EXPECT_NE(Refuse(Values<double>({1e308}), 1e9).find("too large"), std::string::npos);
  Add(Values<double>({0x1p20}), 1);
  EXPECT_EQ(Finish().values<double>()[0], 1 + 0x1p20);
}

TEST_F(FloatSumTest, StartThatIsNotFiniteIsRefused) {
  FloatSum sum(DType::kF32, {});
  const auto begun = sum.Begin(Values<float>({1, HUGE_VALF}), UpdateKind::kDifference);
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(begun.error().message(), "element 1 is infinite");
}

TEST_F(FloatSumTest, NewValueBeyondTheTypeIsReported) {
  Begin(Values<float>({3e38F}));
  Add(Values<float>({3e38F}), 1);
  const auto result = sum_->Finish({});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kFailedPrecondition);
}

TEST_F(FloatSumTest, WithoutAWeightTheStartIsKept) {
  const Tensor start = Values<float>({1, 2});
  Begin(start);
  EXPECT_EQ(Finish(), start);
  Begin(start);
  Add(Values<float>({5, 5}), 0);
  EXPECT_EQ(Finish(), start);
}

TEST_F(FloatSumTest, StepReplacesTheMeanDifference) {
  const auto halve = [](std::size_t /*begin*/, std::span<double> difference) {
    for (double& d : difference) d /= 2;
  };
  Begin(Values<float>({1, 2}), UpdateKind::kWeights);
  Add(Values<float>({2, 4}), 1);
  EXPECT_EQ(Finish(halve), Values<float>({1.5F, 3.0F}));
  Begin(Values<float>({1, 2}));
  Add(Values<float>({1, 2}), 1);
  EXPECT_EQ(Finish(halve), Values<float>({1.5F, 3.0F}));
}

// old + mean rounds below zero here without the clamp: the quantum does not divide old × weight.
TEST_F(FloatSumTest, VarianceNeverBecomesNegative) {
  Random random(8);
  std::vector<float> old(2000);
  for (float& value : old) value = static_cast<float>(std::exp(random.Normal() * 8));
  std::vector<float> to_zero;
  for (const float value : old) to_zero.push_back(-value);
  FloatSum sum(DType::kF32, {.non_negative = true});
  for (const double weight : {1.0, 0.3, 0.001}) {
    ASSERT_TRUE(sum.Begin(Values(old), UpdateKind::kDifference).has_value());
    ASSERT_TRUE(sum.Stage(Values(to_zero), Of(weight)).has_value());
    sum.Commit(Values(to_zero), Of(weight));
    const Tensor result = sum.Finish({}).value();
    for (const float value : result.values<float>()) ASSERT_GE(value, 0);
  }
}

TEST(FixedWeightTest, WhatIsNoWeightIsRefused) {
  for (const double bad : {-1.0, -1e-300, HUGE_VAL, std::nan(""), 0x1p61}) {
    EXPECT_FALSE(FixedWeight::From(bad).has_value()) << bad;
  }
  for (const double good : {0.0, -0.0, 1.0, 0.5, 12345.0, 0x1p60}) {
    EXPECT_EQ(FixedWeight::From(good).value().value(), good);
  }
  EXPECT_NEAR(FixedWeight::From(0.1).value().value(), 0.1, 0x1p-41);
}

}  // namespace
}  // namespace fed_learn
