#include "aggregation/accumulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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

template <typename T>
Tensor Normal(Random& random, Shape shape, double deviation) {
  Tensor tensor = Tensor::Allocate(DTypeOf<T>(), std::move(shape));
  for (T& value : tensor.mutable_values<T>()) value = static_cast<T>(random.Normal() * deviation);
  return tensor;
}

std::vector<Rule> RulesOf(const ModelData& model) {
  std::vector<Rule> rules;
  for (const NamedTensor& tensor : model) rules.push_back(DefaultRule(tensor));
  return rules;
}

// Every form of sum: narrow, wide by dtype, wide by zeros, integers, a counter, no elements, a scalar.
ModelData RandomModel(std::uint64_t seed, double deviation, bool has_zeros) {
  Random random(seed);
  ModelData model;
  const auto add = [&model](std::string name, Tensor tensor) {
    EXPECT_TRUE(model.Add(std::move(name), std::move(tensor)).has_value());
  };
  add("conv.weight", Normal<float>(random, {16, 3, 100}, deviation));
  add("conv.bias", Normal<float>(random, {16}, has_zeros ? 0 : deviation));
  add("head.weight", Normal<double>(random, {5, 9}, deviation));
  add("codes", Normal<std::int32_t>(random, {40}, 1000));
  add("empty", Normal<float>(random, {0, 4}, deviation));
  add("bn.running_var", Normal<float>(random, {16}, 0));
  add("bn.num_batches_tracked", Tensor::Of<std::int64_t>({}, std::array<std::int64_t, 1>{std::int64_t(seed % 100)}));
  return model;
}

class AccumulatorTest : public testing::Test {
 protected:
  void Begin(const ModelData& start, UpdateKind kind = UpdateKind::kDifference) {
    const auto begun = accumulator_.Begin(start, RulesOf(start), kind);
    ASSERT_TRUE(begun.has_value()) << begun.error().message();
  }
  void Add(const ModelData& update, double weight) {
    const auto added = accumulator_.Add(update, Of(weight));
    ASSERT_TRUE(added.has_value()) << added.error().message();
  }
  std::string Refuse(const ModelData& update, double weight = 1) {
    const auto added = accumulator_.Add(update, Of(weight));
    EXPECT_FALSE(added.has_value());
    if (added.has_value()) return "";
    EXPECT_EQ(added.error().kind(), ErrorKind::kInvalidArgument);
    return added.error().message();
  }
  ModelData Finish() {
    auto result = accumulator_.Finish();
    EXPECT_TRUE(result.has_value()) << result.error().message();
    return result.value_or(ModelData());
  }

  Accumulator accumulator_;
};

TEST_F(AccumulatorTest, OrderOfArrivalDoesNotShowInTheBits) {
  const ModelData start = RandomModel(1, 1, true);
  for (const std::size_t sites : {1, 2, 3, 7, 33, 64}) {
    std::vector<ModelData> updates;
    std::vector<double> weights;
    Random random(sites);
    for (std::size_t i = 0; i < sites; ++i) {
      // Now and then one that makes sums wide in the middle of the round.
      updates.push_back(RandomModel(100 + i, i % 5 == 4 ? 1e7 : 0.01, false));
      weights.push_back(static_cast<double>(random.Below(1000)) + random.Uniform());
    }
    std::vector<std::size_t> order(sites);
    std::iota(order.begin(), order.end(), 0);
    ModelData expected;
    for (int shuffle = 0; shuffle < 6; ++shuffle) {
      Begin(start);
      for (const std::size_t i : order) Add(updates[i], weights[i]);
      const ModelData result = Finish();
      if (shuffle == 0) expected = result;
      ASSERT_TRUE(result == expected) << sites << " sites, shuffle " << shuffle;
      for (std::size_t i = sites; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    }
  }
}

TEST_F(AccumulatorTest, EveryTargetOfTheKernelsGivesTheSameModel) {
  const ModelData start = RandomModel(1, 1, true);
  Accumulator baseline(KernelsFor(CpuTarget::kBaseline));
  ASSERT_TRUE(baseline.Begin(start, RulesOf(start), UpdateKind::kWeights).has_value());
  Begin(start, UpdateKind::kWeights);
  for (const std::uint64_t seed : {5, 6, 7}) {
    const ModelData update = RandomModel(seed, seed == 7 ? 1e6 : 1, false);
    Add(update, 123.75);
    ASSERT_TRUE(baseline.Add(update, Of(123.75)).has_value());
  }
  EXPECT_TRUE(Finish() == baseline.Finish().value());
}

TEST_F(AccumulatorTest, TensorIsAveragedOverItsSendersOnly) {
  ModelData start;
  ASSERT_TRUE(start.Add("a", Values<float>({1})).has_value());
  ASSERT_TRUE(start.Add("b", Values<float>({1})).has_value());
  ASSERT_TRUE(start.Add("c", Values<float>({1})).has_value());
  ModelData both;
  ASSERT_TRUE(both.Add("b", Values<float>({2})).has_value());
  ASSERT_TRUE(both.Add("a", Values<float>({2})).has_value());
  ModelData only_a;
  ASSERT_TRUE(only_a.Add("a", Values<float>({4})).has_value());
  Begin(start);
  Add(both, 1);
  Add(only_a, 1);
  Add(ModelData(), 1);
  EXPECT_EQ(accumulator_.count(), 3);
  const ModelData result = Finish();
  EXPECT_EQ(result.Find("a")->tensor, Values<float>({4}));
  EXPECT_EQ(result.Find("b")->tensor, Values<float>({3}));
  EXPECT_EQ(result.Find("c")->tensor, Values<float>({1}));
}

TEST_F(AccumulatorTest, RefusedContributionLeavesNoBitBehind) {
  const ModelData start = RandomModel(1, 1, true);
  const ModelData good = RandomModel(2, 0.01, false);
  Begin(start);
  Add(good, 10);
  const ModelData expected = Finish();

  const auto spoilt = [](std::string_view name, Tensor tensor) {
    ModelData update = RandomModel(3, 1e7, false);
    EXPECT_TRUE(update.Set(name, std::move(tensor)).has_value());
    return update;
  };
  Random random(1);
  Tensor with_nan = Normal<double>(random, {5, 9}, 1);
  with_nan.mutable_values<double>()[44] = std::nan("");
  Tensor with_infinity = Normal<float>(random, {16}, 1);
  with_infinity.mutable_values<float>()[3] = -HUGE_VALF;
  ModelData unknown = RandomModel(3, 1, false);
  ASSERT_TRUE(unknown.Add("conv.weights", Values<float>({1})).has_value());
  ModelData opaque = RandomModel(3, 1, false);
  ASSERT_TRUE(opaque.Add("blob", Values<std::uint8_t>({1}), Role::kOpaque).has_value());

  Begin(start);
  EXPECT_EQ(Refuse(spoilt("head.weight", with_nan)), "tensor 'head.weight': element 44 is NaN");
  Add(good, 10);
  EXPECT_EQ(Refuse(spoilt("bn.running_var", with_infinity)), "tensor 'bn.running_var': element 3 is infinite");
  EXPECT_EQ(Refuse(spoilt("conv.bias", Normal<double>(random, {16}, 1))),
            "tensor 'conv.bias': its dtype is f64, but f32 in the global model");
  EXPECT_EQ(Refuse(spoilt("conv.bias", Normal<float>(random, {4, 4}, 1))),
            "tensor 'conv.bias': its shape is [4, 4], but [16] in the global model");
  EXPECT_NE(Refuse(spoilt("head.weight", Normal<double>(random, {5, 9}, 1e300))).find("too large"), std::string::npos);
  EXPECT_NE(Refuse(unknown).find("tensor 'conv.weights': the global model has none"), std::string::npos);
  EXPECT_NE(Refuse(opaque).find("tensor 'blob': it is opaque"), std::string::npos);
  EXPECT_EQ(accumulator_.count(), 1);
  EXPECT_TRUE(Finish() == expected);
}

TEST_F(AccumulatorTest, RulesOtherThanTheMean) {
  ModelData start;
  for (const char* name : {"kept", "largest", "frozen"}) {
    ASSERT_TRUE(start.Add(name, Values<float>({1, 2})).has_value());
  }
  ASSERT_TRUE(start.Add("mask", Tensor::Zeros(DType::kBool, {2})).has_value());
  const std::vector<Rule> rules{Rule::kKeep, Rule::kMaximum, Rule::kExact, Rule::kExact};
  for (const UpdateKind kind : {UpdateKind::kDifference, UpdateKind::kWeights}) {
    const bool is_difference = kind == UpdateKind::kDifference;
    ASSERT_TRUE(accumulator_.Begin(start, rules, kind).has_value());
    ModelData update;
    ASSERT_TRUE(update.Add("kept", Values<double>({std::nan("")})).has_value());
    ASSERT_TRUE(update.Add("largest", Values<float>({5, -5})).has_value());
    ASSERT_TRUE(update.Add("frozen", is_difference ? Values<float>({0, -0.0F}) : Values<float>({1, 2})).has_value());
    ASSERT_TRUE(update.Add("mask", Tensor::Zeros(DType::kBool, {2})).has_value());
    Add(update, 2);
    ModelData changed = update;
    ASSERT_TRUE(changed.Set("frozen", Values<float>({1, 1})).has_value());
    EXPECT_NE(Refuse(changed).find("tensor 'frozen'"), std::string::npos);
    const ModelData result = Finish();
    EXPECT_EQ(result.Find("kept")->tensor, Values<float>({1, 2}));
    EXPECT_EQ(result.Find("frozen")->tensor, Values<float>({1, 2}));
    EXPECT_EQ(result.Find("largest")->tensor, is_difference ? Values<float>({6, -3}) : Values<float>({5, -5}));
  }
}

TEST_F(AccumulatorTest, BoolsAndOpaqueTensorsAreKeptAndNotAveraged) {
  ModelData start;
  ASSERT_TRUE(start.Add("mask", Tensor::Zeros(DType::kBool, {2})).has_value());
  ASSERT_TRUE(start.Add("blob", Values<std::uint8_t>({7}), Role::kOpaque).has_value());
  Begin(start);
  Add(start, 1);
  EXPECT_TRUE(Finish() == start);
  EXPECT_FALSE(accumulator_.Begin(start, {Rule::kAverage, Rule::kKeep}, UpdateKind::kWeights).has_value());
  EXPECT_FALSE(accumulator_.Begin(start, {Rule::kKeep, Rule::kMaximum}, UpdateKind::kWeights).has_value());
}

TEST_F(AccumulatorTest, StartThatIsNotFiniteIsRefusedByName) {
  ModelData start;
  ASSERT_TRUE(start.Add("w", Values<float>({1, std::nanf("")})).has_value());
  const auto begun = accumulator_.Begin(start, RulesOf(start), UpdateKind::kDifference);
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(begun.error().message(), "tensor 'w': element 1 is NaN");
}

TEST_F(AccumulatorTest, AnotherModelMayFollow) {
  Begin(RandomModel(1, 1, false));
  Add(RandomModel(2, 1, false), 1);
  Finish();
  ModelData other;
  ASSERT_TRUE(other.Add("conv.weight", Values<std::int64_t>({1, 2})).has_value());
  Begin(other, UpdateKind::kWeights);
  Add(other, 1);
  EXPECT_TRUE(Finish() == other);
  Begin(ModelData());
  Add(ModelData(), 1);
  EXPECT_TRUE(Finish().empty());
}

TEST_F(AccumulatorTest, TensorsWithWeightsOfZeroAreNamed) {
  ModelData start;
  ASSERT_TRUE(start.Add("a", Values<float>({1})).has_value());
  ASSERT_TRUE(start.Add("b", Values<float>({1})).has_value());
  ModelData only_a;
  ASSERT_TRUE(only_a.Add("a", Values<float>({1})).has_value());
  Begin(start);
  Add(start, 0);
  Add(only_a, 1);
  EXPECT_EQ(accumulator_.unweighted(), std::vector<std::string>{"b"});
  EXPECT_EQ(Finish().Find("b")->tensor, Values<float>({1}));
}

TEST(RuleTest, NamesAreReadBack) {
  for (const Rule rule : {Rule::kAverage, Rule::kKeep, Rule::kMaximum, Rule::kExact}) {
    EXPECT_EQ(RuleFromString(ToString(rule)).value(), rule);
  }
  EXPECT_FALSE(RuleFromString("mean").has_value());
}

}  // namespace
}  // namespace fed_learn
