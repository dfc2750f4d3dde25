#include "trainers/tabular_model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

ModelData Built(const Json& args) {
  auto source = TabularModelSource::FromArgs(args);
  EXPECT_TRUE(source.has_value()) << source.error().message();
  return source.value()->Build().value();
}

std::string ErrorOf(const Json& args) {
  const auto source = TabularModelSource::FromArgs(args);
  EXPECT_FALSE(source.has_value()) << args;
  return source.has_value() ? "" : source.error().message();
}

TEST(TabularModelSourceTest, LayersHaveTheirNamesAndShapes) {
  const ModelData model = Built({{"inputs", 4}, {"hidden", {8, 3}}, {"outputs", 2}});
  ASSERT_EQ(model.size(), 6u);
  EXPECT_EQ(model.Find("layers.0.weight")->tensor.shape(), (Shape{8, 4}));
  EXPECT_EQ(model.Find("layers.1.weight")->tensor.shape(), (Shape{3, 8}));
  EXPECT_EQ(model.Find("layers.2.weight")->tensor.shape(), (Shape{2, 3}));
  EXPECT_EQ(model.Find("layers.2.bias")->tensor.shape(), (Shape{2}));
  for (const NamedTensor& tensor : model) {
    EXPECT_EQ(tensor.role, Role::kParameter);
    EXPECT_EQ(tensor.tensor.dtype(), DType::kF32);
  }
}

TEST(TabularModelSourceTest, SeedDecidesTheValues) {
  const Json args{{"inputs", 16}, {"seed", 3}};
  EXPECT_EQ(Built(args), Built(args));
  EXPECT_FALSE(Built(args) == Built({{"inputs", 16}, {"seed", 4}}));
}

TEST(TabularModelSourceTest, UniformValuesFillTheirRange) {
  const ModelData model = Built({{"inputs", 100}, {"outputs", 50}});
  const auto values = model.Find("layers.0.weight")->tensor.values<float>();
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*lowest, -0.1f);
  EXPECT_LT(*lowest, -0.099f);
  EXPECT_LE(*highest, 0.1f);
  EXPECT_GT(*highest, 0.099f);
}

// The values are those of torch 2.13: torch.manual_seed(7), then Linear(3, 4) and Linear(4, 2).
TEST(TabularModelSourceTest, UniformValuesAreThoseOfTorch) {
  const ModelData model = Built({{"inputs", 3}, {"hidden", {4}}, {"outputs", 2}, {"seed", 7}});
  const auto last_of = [&](std::size_t tensor) { return model[tensor].tensor.values<float>().back(); };
  EXPECT_EQ(last_of(0), 0.05881491303443909f);
  EXPECT_EQ(last_of(1), -0.1624825894832611f);
  EXPECT_EQ(last_of(2), 0.19484752416610718f);
  EXPECT_EQ(last_of(3), 0.093231201171875f);
}

TEST(TabularModelSourceTest, ZerosAreZeros) {
  for (const NamedTensor& tensor : Built({{"inputs", 3}, {"init", "zeros"}})) {
    for (const float value : tensor.tensor.values<float>()) EXPECT_EQ(value, 0);
  }
}

TEST(TabularModelSourceTest, WrongArgumentsAreNamed) {
  EXPECT_THAT(ErrorOf(Json::object()), HasSubstr("inputs"));
  EXPECT_THAT(ErrorOf({{"inputs", 0}}), HasSubstr("inputs"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"hidden", 4}}), HasSubstr("args.hidden"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"hidden", {4, "5"}}}), HasSubstr("args.hidden"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"hidden", {0}}}), HasSubstr("hidden"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"init", "zero"}}), HasSubstr("zeros"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"init", "zeros"}, {"hidden", {2}}}), HasSubstr("linear model"));
  EXPECT_THAT(ErrorOf({{"inputs", 3}, {"ouputs", 2}}), HasSubstr("outputs"));
  EXPECT_THAT(ErrorOf({{"inputs", 1'000'000}, {"hidden", {1'000'000}}}), HasSubstr("100,000,000"));
}

}  // namespace
}  // namespace fed_learn
