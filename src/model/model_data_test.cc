#include "model/model_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

Tensor Scalar(DType dtype) { return Tensor::Zeros(dtype, {}); }

TEST(RoleTest, NamesAreTheirInverse) {
  for (const Role role : {Role::kParameter, Role::kBuffer, Role::kCounter, Role::kOpaque}) {
    EXPECT_EQ(RoleFromString(ToString(role)).value(), role);
  }
  EXPECT_THAT(RoleFromString("weight").error().message(), HasSubstr("'weight'"));
}

TEST(RoleTest, FrameworkNamesTellTheRole) {
  const Tensor weights = Tensor::Zeros(DType::kF32, {4});
  EXPECT_EQ(GuessRole("layer1.weight", weights), Role::kParameter);
  EXPECT_EQ(GuessRole("bn.running_mean", weights), Role::kBuffer);
  EXPECT_EQ(GuessRole("bn.running_var", weights), Role::kBuffer);
  EXPECT_EQ(GuessRole("bn/moving_mean", weights), Role::kBuffer);
  EXPECT_EQ(GuessRole("bn/moving_variance:0", weights), Role::kBuffer);
  EXPECT_EQ(GuessRole("bn.num_batches_tracked", Scalar(DType::kI64)), Role::kCounter);
  EXPECT_EQ(GuessRole("global_step", Scalar(DType::kI64)), Role::kCounter);
  EXPECT_EQ(GuessRole("flag", Scalar(DType::kBool)), Role::kCounter);
  EXPECT_EQ(GuessRole("temperature", Scalar(DType::kF32)), Role::kParameter);
  EXPECT_EQ(GuessRole("codebook", Tensor::Zeros(DType::kI8, {4})), Role::kParameter);
}

TEST(ModelDataTest, AnEmptyModelHasNothing) {
  const ModelData model;
  EXPECT_TRUE(model.empty());
  EXPECT_EQ(model.byte_size(), 0u);
  EXPECT_EQ(model.Find(""), nullptr);
  EXPECT_EQ(model, ModelData());
  EXPECT_EQ(model.Clone(), model);
}

TEST(ModelDataTest, KeepsTheOrderOfAdding) {
  ModelData model;
  ASSERT_TRUE(model.Add("b", Tensor::Zeros(DType::kF32, {2})).has_value());
  ASSERT_TRUE(model.Add("a", Tensor::Zeros(DType::kF64, {3})).has_value());
  EXPECT_EQ(model[0].name, "b");
  EXPECT_EQ(model[1].name, "a");
  EXPECT_EQ(model.Find("a")->tensor.elements(), 3);
  EXPECT_EQ(model.byte_size(), 2u * 4 + 3 * 8);
}

TEST(ModelDataTest, BadNamesAreRefused) {
  ModelData model;
  EXPECT_FALSE(model.Add("", Tensor()).has_value());
  EXPECT_TRUE(model.Add(std::string(1024, 'x'), Tensor()).has_value());
  EXPECT_THAT(model.Add(std::string(1025, 'x'), Tensor()).error().message(), HasSubstr("1025 bytes"));
  EXPECT_THAT(model.Add("a\xff", Tensor()).error().message(), HasSubstr("not UTF-8"));
  EXPECT_EQ(model.size(), 1u);
}

TEST(ModelDataTest, ASecondTensorOfANameIsRefused) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kF32, {2})).has_value());
  const Status again = model.Add("w", Tensor::Zeros(DType::kF32, {3}));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_THAT(again.error().message(), HasSubstr("'w'"));
  EXPECT_EQ(model.Find("w")->tensor.elements(), 2);
}

TEST(ModelDataTest, SetReplacesAndNeverAdds) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kF32, {2}), Role::kBuffer).has_value());
  ASSERT_TRUE(model.Set("w", Tensor::Zeros(DType::kF64, {5})).has_value());
  EXPECT_EQ(model[0].tensor.dtype(), DType::kF64);
  EXPECT_EQ(model[0].role, Role::kBuffer);
  EXPECT_EQ(model.Set("v", Tensor()).error().kind(), ErrorKind::kNotFound);
}

TEST(ModelDataTest, ATensorWithoutStorageBecomesAZeroScalar) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor()).has_value());
  EXPECT_EQ(model[0].tensor, Tensor::Zeros(DType::kF32, {}));
}

TEST(ModelDataTest, CloneIsDeep) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kF32, {2})).has_value());
  const ModelData copy = model.Clone();
  EXPECT_EQ(copy, model);
  EXPECT_NE(copy[0].tensor.bytes().data(), model[0].tensor.bytes().data());
  EXPECT_TRUE(model[0].tensor.Unique());
}

TEST(ModelDataTest, EqualityLooksAtOrderRolesAndBytes) {
  ModelData a, b, c;
  ASSERT_TRUE(a.Add("x", Tensor::Zeros(DType::kF32, {1}), Role::kParameter).has_value());
  ASSERT_TRUE(b.Add("x", Tensor::Zeros(DType::kF32, {1}), Role::kBuffer).has_value());
  EXPECT_FALSE(a == b);
  EXPECT_FALSE(a == c);
  ASSERT_TRUE(c.Add("x", Tensor::Zeros(DType::kF32, {1}), Role::kParameter).has_value());
  EXPECT_TRUE(a == c);
}

}  // namespace
}  // namespace fed_learn
