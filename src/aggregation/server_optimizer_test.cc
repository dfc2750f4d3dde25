#include "aggregation/server_optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fed_learn {
namespace {

ModelData ModelOf(DType dtype) {
  ModelData model;
  EXPECT_TRUE(model.Add("frozen", Tensor::Zeros(DType::kF32, {1})).has_value());
  EXPECT_TRUE(model.Add("w", Tensor::Zeros(dtype, {3})).has_value());
  return model;
}

std::unique_ptr<ServerOptimizer> Make(const char* json) {
  auto made = MakeServerOptimizer(Json::parse(json));
  EXPECT_TRUE(made.has_value()) << made.error().message();
  return std::move(made).value();
}

std::string WrongBecause(const char* json) {
  const auto made = MakeServerOptimizer(Json::parse(json));
  EXPECT_FALSE(made.has_value()) << json;
  return made.has_value() ? "" : made.error().message();
}

std::vector<double> Round(ServerOptimizer& optimizer, const ModelData& model, std::vector<double> difference) {
  const auto prepared = optimizer.Prepare(model);
  EXPECT_TRUE(prepared.has_value()) << prepared.error().message();
  optimizer.BeginRound();
  optimizer.BeginTensor(1);
  // In two pieces, as the aggregator does it.
  optimizer.Step(0, std::span(difference).first(2));
  optimizer.Step(2, std::span(difference).subspan(2));
  return difference;
}

void ExpectNear(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], std::abs(expected[i]) * tolerance) << i;
  }
}

const std::vector<std::vector<double>> kDifferences{{0.1, -0.2, 0}, {0.05, 0.3, 1e-4}, {-0.5, 0.01, 2}};

TEST(ServerOptimizerTest, FedAvgNeedsNone) { EXPECT_EQ(Make(R"({"name": "FedAvg"})"), nullptr); }

TEST(ServerOptimizerTest, SgdWithMomentum) {
  const auto sgd = Make(R"({"name": "SGD", "args": {"lr": 0.5, "momentum": 0.9}})");
  const ModelData model = ModelOf(DType::kF64);
  std::vector<double> m(3, 0);
  for (const auto& difference : kDifferences) {
    std::vector<double> expected(3);
    for (std::size_t i = 0; i < 3; ++i) {
      m[i] = 0.9 * m[i] + difference[i];
      expected[i] = 0.5 * m[i];
    }
    ExpectNear(Round(*sgd, model, difference), expected, 1e-14);
  }
}

TEST(ServerOptimizerTest, SgdOfLearningRateOneIsTheMeanAndHasNoState) {
  const auto sgd = Make(R"({"name": "SGD"})");
  EXPECT_EQ(Round(*sgd, ModelOf(DType::kF32), kDifferences[1]), kDifferences[1]);
  EXPECT_EQ(sgd->SaveState().size(), 1U);  // the rounds
}

struct Reference {
  const char* json;
  double beta1;
  double v0;
  bool is_corrected;
  double (*second)(double v, double d);
};

double Adam(double v, double d) { return 0.999 * v + 0.001 * d * d; }
double Yogi(double v, double d) {
  const double sign = v > d * d ? 1 : v < d * d ? -1 : 0;
  return v - 0.001 * d * d * sign;
}
double Adagrad(double v, double d) { return v + d * d; }

class AdaptiveTest : public testing::TestWithParam<Reference> {};

INSTANTIATE_TEST_SUITE_P(
    Algorithms, AdaptiveTest,
    testing::Values(
        Reference{R"({"name": "FedAdam", "args": {"lr": 0.02, "beta2": 0.999}})", 0.9, 1e-6, false, Adam},
        Reference{R"({"name": "FedAdam", "args": {"lr": 0.02, "beta2": 0.999, "v0": 0}})", 0.9, 0, false, Adam},
        Reference{R"({"name": "FedAdam", "args": {"lr": 0.02, "beta2": 0.999, "bias_correction": true}})", 0.9, 0, true,
                  Adam},
        Reference{R"({"name": "FedYogi", "args": {"lr": 0.02, "beta2": 0.999, "v0": 0}})", 0.9, 0, false, Yogi},
        Reference{R"({"name": "FedYogi", "args": {"lr": 0.02, "beta2": 0.999}})", 0.9, 1e-6, false, Yogi},
        Reference{R"({"name": "FedAdagrad", "args": {"lr": 0.02}})", 0, 1e-6, false, Adagrad},
        Reference{R"({"name": "FedAdagrad", "args": {"lr": 0.02, "beta1": 0.9, "v0": 0}})", 0.9, 0, false, Adagrad}));

TEST_P(AdaptiveTest, StepsAreThoseOfTheFormula) {
  const Reference& reference = GetParam();
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    const auto optimizer = Make(reference.json);
    const ModelData model = ModelOf(dtype);
    std::vector<double> m(3, 0);
    std::vector<double> v(3, reference.v0);
    int round = 0;
    for (const auto& difference : kDifferences) {
      ++round;
      std::vector<double> expected(3);
      for (std::size_t i = 0; i < 3; ++i) {
        m[i] = reference.beta1 * m[i] + (1 - reference.beta1) * difference[i];
        v[i] = reference.second(v[i], difference[i]);
        const double m_hat = reference.is_corrected ? m[i] / (1 - std::pow(reference.beta1, round)) : m[i];
        const double v_hat = reference.is_corrected ? v[i] / (1 - std::pow(0.999, round)) : v[i];
        expected[i] = 0.02 * m_hat / (std::sqrt(v_hat) + 1e-3);
      }
      ExpectNear(Round(*optimizer, model, difference), expected, dtype == DType::kF64 ? 1e-12 : 1e-6);
    }
  }
}

TEST_P(AdaptiveTest, LoadedStateGoesOnWithTheSameBits) {
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    const ModelData model = ModelOf(dtype);
    const auto first = Make(GetParam().json);
    Round(*first, model, kDifferences[0]);
    Round(*first, model, kDifferences[1]);
    const ModelData state = first->SaveState();
    const ModelData copy = state.Clone();
    const auto second = Make(GetParam().json);
    ASSERT_TRUE(second->LoadState(state).has_value());
    EXPECT_TRUE(second->SaveState() == state);
    EXPECT_EQ(Round(*second, model, kDifferences[2]), Round(*first, model, kDifferences[2]));
    EXPECT_TRUE(second->SaveState() == first->SaveState());
    EXPECT_TRUE(state == copy) << "a saved state must not change with the rounds that follow";
  }
}

TEST(ServerOptimizerTest, FlambysFedAdamFirstStep) {
  // m = 0.1·d, v = 0.001·d²: the step is lr·0.1·d / (√0.001·|d| + tau).
  const auto adam = Make(R"({"name": "FedAdam", "args": {"lr": 0.1, "beta2": 0.999, "v0": 0}})");
  const double expected = 0.1 * 0.1 * 0.2 / (std::sqrt(0.001) * 0.2 + 1e-3);
  ExpectNear(Round(*adam, ModelOf(DType::kF64), {0.2, 0.2, -0.2}), {expected, expected, -expected}, 1e-14);
}

TEST(ServerOptimizerTest, StateOfAnotherModelOrOptimizerIsRefused) {
  const auto adam = Make(R"({"name": "FedAdam"})");
  Round(*adam, ModelOf(DType::kF32), kDifferences[0]);
  const ModelData state = adam->SaveState();

  const auto other = Make(R"({"name": "FedAdam"})");
  ASSERT_TRUE(other->LoadState(state).has_value());
  EXPECT_EQ(other->Prepare(ModelOf(DType::kF64)).error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_FALSE(other->Prepare(ModelData()).has_value());
  EXPECT_TRUE(other->Prepare(ModelOf(DType::kBF16)).has_value());

  EXPECT_NE(Make(R"({"name": "SGD"})")->LoadState(state).error().message().find("first_moment/1"), std::string::npos);
  for (const char* name : {"first_moment/", "first_moment/x", "second_moment/1 ", "m"}) {
    ModelData bad;
    ASSERT_TRUE(bad.Add(name, Tensor::Zeros(DType::kF32, {1})).has_value());
    EXPECT_FALSE(other->LoadState(bad).has_value()) << name;
  }
}

TEST(ServerOptimizerTest, BadArgumentsAreNamed) {
  EXPECT_NE(WrongBecause(R"({"name": "FedAdan"})").find("FedAdam"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "SGD", "args": {"lr": 0}})").find("lr"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "SGD", "args": {"momentum": 1}})").find("momentum"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "FedAdam", "args": {"tau": 0}})").find("tau"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "FedAdam", "args": {"v0": -1}})").find("v0"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "FedYogi", "args": {"beta_2": 0.9}})").find("beta_2"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "FedAdagrad", "args": {"beta2": 0.9}})").find("beta2"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"name": "FedAvg", "args": {"lr": 1}})").find("lr"), std::string::npos);
  EXPECT_NE(WrongBecause(R"("FedAvg")").find("optimizer"), std::string::npos);
}

}  // namespace
}  // namespace fed_learn
