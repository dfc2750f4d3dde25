#include "trainers/tabular_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "trainers/tabular_model_source.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Tensor Floats(Shape shape, std::vector<float> values) { return Tensor::Of<float>(std::move(shape), values); }

ModelData Linear(std::vector<float> weight, float bias) {
  ModelData model;
  const auto inputs = static_cast<std::int64_t>(weight.size());
  EXPECT_TRUE(model.Add("layers.0.weight", Floats({1, inputs}, std::move(weight))).has_value());
  EXPECT_TRUE(model.Add("layers.0.bias", Floats({1}, {bias})).has_value());
  return model;
}

ModelData Perceptron(std::vector<std::int64_t> hidden) {
  TabularModelSource source({.inputs = 4, .hidden = std::move(hidden), .outputs = 2, .seed = 5});
  return source.Build().value();
}

std::string ErrorOf(const ModelData& model) {
  const auto result = TabularModel::From(model, Activation::kRelu);
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? "" : result.error().message();
}

TEST(TabularModelTest, LinearModelByHand) {
  const auto model = TabularModel::From(Linear({2, -1}, 0.5), Activation::kRelu).value();
  Matrix inputs(2, 2);
  inputs << 1, 1, 3, 0;
  Matrix expected(2, 1);
  expected << 1.5, 6.5;
  EXPECT_EQ(model.Forward(inputs), expected);
}

TEST(TabularModelTest, NoRowsGiveNoOutputs) {
  const auto model = TabularModel::From(Perceptron({3}), Activation::kTanh).value();
  EXPECT_EQ(model.Forward(Matrix(0, 4)).rows(), 0);
  EXPECT_EQ(model.Forward(Matrix(0, 4)).cols(), 2);
}

TEST(TabularModelTest, HiddenLayerIsActivated) {
  ModelData data = Linear({1}, 0);
  ASSERT_TRUE(data.Add("layers.1.weight", Floats({1, 1}, {2})).has_value());
  ASSERT_TRUE(data.Add("layers.1.bias", Floats({1}, {1})).has_value());
  Matrix inputs(2, 1);
  inputs << -3, 3;
  const Matrix relu = TabularModel::From(data, Activation::kRelu).value().Forward(inputs);
  EXPECT_EQ(relu(0, 0), 1);
  EXPECT_EQ(relu(1, 0), 7);
  const Matrix tanh = TabularModel::From(data, Activation::kTanh).value().Forward(inputs);
  EXPECT_DOUBLE_EQ(tanh(1, 0), 1 + 2 * std::tanh(3.0));
}

// The loss is a fixed weighting of the outputs, so that its gradient with regard to them is that weighting.
TEST(TabularModelTest, GradientsAreThoseOfFiniteDifferences) {
  constexpr double step = 1e-6;
  Random random(2);
  const auto normal = [&] { return random.Normal(); };
  for (const Activation activation : {Activation::kRelu, Activation::kTanh}) {
    for (const std::vector<std::int64_t>& hidden : {std::vector<std::int64_t>{}, {3}, {5, 3}}) {
      auto model = TabularModel::From(Perceptron(hidden), activation).value();
      const Matrix inputs = Matrix::NullaryExpr(6, 4, normal);
      const Matrix weighting = Matrix::NullaryExpr(6, 2, normal);
      const Vector gradient = model.Backward(model.ForwardTraced(inputs), weighting);
      ASSERT_EQ(gradient.size(), model.parameters().size());
      for (Eigen::Index i = 0; i < gradient.size(); ++i) {
        const double at = model.parameters()[i];
        model.parameters()[i] = at + step;
        const double above = model.Forward(inputs).cwiseProduct(weighting).sum();
        model.parameters()[i] = at - step;
        const double below = model.Forward(inputs).cwiseProduct(weighting).sum();
        model.parameters()[i] = at;
        EXPECT_NEAR(gradient[i], (above - below) / (2 * step), 1e-7) << "parameter " << i;
      }
    }
  }
}

TEST(TabularModelTest, TensorsComeBackAsTheyWere) {
  for (const std::vector<std::int64_t>& hidden : {std::vector<std::int64_t>{}, {3}, {5, 3}}) {
    const ModelData data = Perceptron(hidden);
    EXPECT_EQ(TabularModel::From(data, Activation::kRelu).value().ToModelData(), data);
  }
}

TEST(TabularModelTest, DifferenceIsWhatWasAdded) {
  const auto start = TabularModel::From(Linear({1, 2}, 3), Activation::kRelu).value();
  TabularModel moved = start;
  moved.parameters().array() += 0.25;
  EXPECT_EQ(moved.DifferenceFrom(start), Linear({0.25, 0.25}, 0.25));
}

TEST(TabularModelTest, ModelOfAnotherKindIsRefusedByName) {
  EXPECT_THAT(ErrorOf(ModelData()), HasSubstr("no tensor 'layers.0.weight'"));

  ModelData foreign = Linear({1}, 0);
  ASSERT_TRUE(foreign.Add("fc.weight", Floats({1}, {1})).has_value());
  EXPECT_THAT(ErrorOf(foreign), HasSubstr("no tensor 'layers.1.weight'"));

  ModelData narrow;
  ASSERT_TRUE(narrow.Add("layers.0.weight", Floats({2, 1}, {1, 2})).has_value());
  ASSERT_TRUE(narrow.Add("layers.0.bias", Floats({1}, {1})).has_value());
  EXPECT_THAT(ErrorOf(narrow), AllOf(HasSubstr("layers.0.bias"), HasSubstr("[2, 1]")));

  ModelData broken = Linear({1}, 0);
  ASSERT_TRUE(broken.Add("layers.1.weight", Floats({1, 2}, {1, 2})).has_value());
  ASSERT_TRUE(broken.Add("layers.1.bias", Floats({1}, {1})).has_value());
  EXPECT_THAT(ErrorOf(broken), AllOf(HasSubstr("layers.1.weight"), HasSubstr("1 outputs")));

  ModelData wide;
  ASSERT_TRUE(wide.Add("layers.0.weight", Tensor::Zeros(DType::kF64, {1, 1})).has_value());
  EXPECT_THAT(ErrorOf(wide), AllOf(HasSubstr("f64"), HasSubstr("needs f32")));

  EXPECT_THAT(ErrorOf(Linear({std::numeric_limits<float>::quiet_NaN()}, 0)), HasSubstr("not finite"));
}

TEST(TabularModelTest, UnknownActivationIsRefused) {
  EXPECT_THAT(ActivationFromString("rellu").error().message(), HasSubstr("relu"));
}

}  // namespace
}  // namespace fed_learn
