#include "model/fl_context.h"

#include <gtest/gtest.h>

namespace fed_learn {
namespace {

TEST(FLContextTest, AFieldNobodySetIsNull) {
  const FLContext context;
  EXPECT_TRUE(context.GetMetadata("n_iter").is_null());
  EXPECT_TRUE(context.GetProp("key").is_null());
  EXPECT_EQ(context.GetProp("key", 3), 3);
}

TEST(FLContextTest, MetadataAndPropertiesAreApart) {
  FLContext context;
  context.AddMetadata("n_iter", 40);
  context.SetProp("n_iter", "here");
  EXPECT_EQ(context.GetMetadata("n_iter"), 40);
  EXPECT_EQ(context.GetProp("n_iter"), "here");
  EXPECT_EQ(context.metadata().size(), 1u);
}

TEST(FLContextTest, AChangeInACloneIsNotSeenInTheOriginal) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kF32, {2})).has_value());
  FLContext context(std::move(model));
  context.AddMetadata("list", {1, 2});
  FLContext copy = context.Clone();
  copy.AddMetadata("list", {3});
  ASSERT_TRUE(copy.model().Set("w", Tensor::Zeros(DType::kF32, {5})).has_value());
  EXPECT_EQ(context.GetMetadata("list"), Json({1, 2}));
  EXPECT_EQ(context.model()[0].tensor.elements(), 2);
  EXPECT_TRUE(context.model()[0].tensor.Unique());
}

}  // namespace
}  // namespace fed_learn
