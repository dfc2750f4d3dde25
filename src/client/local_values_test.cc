#include "client/local_values.h"

#include <gtest/gtest.h>

#include <array>

#include "base/simulated_disk.h"

namespace fed_learn {
namespace {

Tensor Values(float a, float b) { return Tensor::Of<float>({2}, std::array{a, b}); }

ModelData Model(Tensor head, Tensor body) {
  ModelData model;
  EXPECT_TRUE(model.Add("head", std::move(head)).has_value());
  EXPECT_TRUE(model.Add("body", std::move(body)).has_value());
  return model;
}

class LocalValuesTest : public testing::Test {
 protected:
  LocalValuesTest() { EXPECT_TRUE(disk_.MakeFolders("site").has_value()); }

  void Store(Tensor head, int round) {
    ModelData values;
    ASSERT_TRUE(values.Add("head", std::move(head)).has_value());
    ASSERT_TRUE(local_.Store(std::move(values), round).has_value());
  }
  Tensor HeadBefore(int round) {
    const auto model = local_.Apply(global_, round);
    return model.has_value() ? model->Find("head")->tensor : Tensor();
  }

  SimulatedDisk disk_;
  LocalValues local_{disk_, "site", /*run=*/1};
  ModelData global_ = Model(Values(0, 0), Values(1, 1));
};

TEST_F(LocalValuesTest, NothingStoredLeavesTheGlobalModel) { EXPECT_EQ(HeadBefore(0), Values(0, 0)); }

TEST_F(LocalValuesTest, TheLastTrainingsValuesStand) {
  Store(Values(1, 2), 0);
  EXPECT_EQ(HeadBefore(1), Values(1, 2));
  EXPECT_EQ(local_.Apply(global_, 1)->Find("body")->tensor, Values(1, 1));
}

TEST_F(LocalValuesTest, ARoundThatIsDoneAgainStartsWhereItStarted) {
  Store(Values(1, 2), 3);
  Store(Values(3, 4), 4);
  EXPECT_EQ(HeadBefore(4), Values(1, 2));
  EXPECT_EQ(HeadBefore(5), Values(3, 4));
}

TEST_F(LocalValuesTest, OldRoundsDoNotPileUp) {
  for (int round = 0; round < 10; ++round) Store(Values(1, static_cast<float>(round)), round);
  EXPECT_EQ(disk_.List("site")->size(), 2u);
}

TEST_F(LocalValuesTest, AnotherRunStartsWithoutTheValuesOfThisOne) {
  for (int round = 0; round < 10; ++round) Store(Values(1, 2), round);
  const LocalValues other(disk_, "site", /*run=*/11);
  EXPECT_EQ(other.Apply(global_, 20)->Find("head")->tensor, Values(0, 0));
  ModelData values;
  ASSERT_TRUE(values.Add("head", Values(5, 6)).has_value());
  ASSERT_TRUE(other.Store(std::move(values), 3).has_value());
  EXPECT_EQ(HeadBefore(10), Values(1, 2)) << "the run that was left can go on";
}

TEST_F(LocalValuesTest, AVariableThatChangedItsShapeComesFromTheServer) {
  Store(Tensor::Zeros(DType::kF32, {5}), 0);
  EXPECT_EQ(HeadBefore(1), Values(0, 0));
}

TEST(SumTest, AddsFloatsAndRefusesTheRest) {
  EXPECT_EQ(*Sum(Values(1, 2), Values(3, 4)), Values(4, 6));
  EXPECT_TRUE(Sum(Tensor::Zeros(DType::kF64, {0}), Tensor::Zeros(DType::kF64, {0})).has_value());
  EXPECT_FALSE(Sum(Values(1, 2), Tensor::Zeros(DType::kF32, {3})).has_value());
  EXPECT_FALSE(Sum(Tensor::Zeros(DType::kI32, {1}), Tensor::Zeros(DType::kI32, {1})).has_value());
}

}  // namespace
}  // namespace fed_learn
