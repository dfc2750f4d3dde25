#include "trainers/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

Vector Of(std::initializer_list<double> values) {
  Vector vector(static_cast<Eigen::Index>(values.size()));
  std::copy(values.begin(), values.end(), vector.begin());
  return vector;
}

std::unique_ptr<Optimizer> Made(const Json& json) {
  const auto options = ParseOptimizerOptions(json);
  EXPECT_TRUE(options.has_value()) << options.error().message();
  return MakeOptimizer(options.value());
}

std::string ErrorOf(const Json& json) {
  const auto options = ParseOptimizerOptions(json);
  EXPECT_FALSE(options.has_value()) << json;
  return options.has_value() ? "" : options.error().message();
}

TEST(OptimizerTest, SgdGoesAgainstTheGradient) {
  const auto optimizer = Made({{"name", "SGD"}, {"args", {{"lr", 0.5}}}});
  Vector parameters = Of({1, 2});
  optimizer->Step(parameters, Of({2, -2}));
  optimizer->Step(parameters, Of({0, 1}));
  EXPECT_EQ(parameters, Of({0, 2.5}));
}

TEST(OptimizerTest, NoParametersAreNoTrouble) {
  for (const char* name : {"SGD", "Adam"}) {
    Vector parameters;
    Made({{"name", name}})->Step(parameters, Vector());
    EXPECT_EQ(parameters.size(), 0);
  }
}

TEST(OptimizerTest, MomentumKeepsTheDirection) {
  const auto optimizer = Made({{"name", "SGD"}, {"args", {{"lr", 1}, {"momentum", 0.5}}}});
  Vector parameters = Of({0});
  optimizer->Step(parameters, Of({1}));  // velocity 1
  optimizer->Step(parameters, Of({1}));  // velocity 1.5
  EXPECT_EQ(parameters, Of({-2.5}));
}

TEST(OptimizerTest, WeightDecayPullsToZero) {
  const auto optimizer = Made({{"name", "SGD"}, {"args", {{"lr", 0.5}, {"weight_decay", 0.5}}}});
  Vector parameters = Of({4});
  optimizer->Step(parameters, Of({0}));
  EXPECT_EQ(parameters, Of({3}));
}

TEST(OptimizerTest, FirstAdamStepIsTheLearningRate) {
  const auto optimizer = Made({{"name", "Adam"}, {"args", {{"lr", 0.1}}}});
  Vector parameters = Of({0, 0});
  optimizer->Step(parameters, Of({1e-3, -50}));
  EXPECT_NEAR(parameters[0], -0.1, 1e-5);
  EXPECT_NEAR(parameters[1], 0.1, 1e-9);
}

// By the formulas: m = 0.1·1 then 0.9·0.1 + 0.1·3; v = 0.001·1 then 0.999·0.001 + 0.001·9.
TEST(OptimizerTest, SecondAdamStepByHand) {
  const auto optimizer = Made({{"name", "Adam"}, {"args", {{"lr", 0.1}}}});
  Vector parameters = Of({0});
  optimizer->Step(parameters, Of({1}));
  const double after_first = parameters[0];
  optimizer->Step(parameters, Of({3}));
  const double m = (0.9 * 0.1 + 0.1 * 3) / (1 - 0.81);
  const double v = (0.999 * 0.001 + 0.001 * 9) / (1 - 0.998001);
  EXPECT_NEAR(parameters[0] - after_first, -0.1 * m / (std::sqrt(v) + 1e-8), 1e-12);
}

TEST(OptimizerTest, WrongArgumentsAreNamed) {
  EXPECT_THAT(ErrorOf({{"name", "Adamm"}}), HasSubstr("Adam"));
  EXPECT_THAT(ErrorOf({{"name", "SGD"}, {"args", {{"lr", -1}}}}), HasSubstr("args.lr"));
  EXPECT_THAT(ErrorOf({{"name", "SGD"}, {"args", {{"momentun", 0.9}}}}), HasSubstr("momentum"));
  EXPECT_THAT(ErrorOf({{"name", "SGD"}, {"args", {{"momentum", 1}}}}), HasSubstr("args.momentum"));
  EXPECT_THAT(ErrorOf({{"name", "Adam"}, {"args", {{"betas", 0.9}}}}), HasSubstr("args.betas"));
  EXPECT_THAT(ErrorOf({{"name", "Adam"}, {"args", {{"betas", {0.9, 1}}}}}), HasSubstr("args.betas"));
  EXPECT_THAT(ErrorOf({{"name", "SGD"}, {"lr", 1}}), HasSubstr("lr"));
}

}  // namespace
}  // namespace fed_learn
