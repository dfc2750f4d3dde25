#include "model/tensor_recycler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace fed_learn {
namespace {

TEST(TensorRecyclerTest, MemoryThatWasLetGoServesTheNextTensor) {
  TensorRecycler recycler;
  Tensor first = recycler.Allocate(DType::kF32, {1000});
  const std::byte* place = first.bytes().data();
  first = Tensor();
  const Tensor second = recycler.Allocate(DType::kF16, {2, 1000});
  EXPECT_EQ(second.bytes().data(), place);
  EXPECT_EQ(second.dtype(), DType::kF16);
  EXPECT_EQ(second.shape(), (Shape{2, 1000}));
}

TEST(TensorRecyclerTest, MemoryThatSomebodyHoldsIsNotTaken) {
  TensorRecycler recycler;
  Tensor first = recycler.Allocate(DType::kF32, {1000});
  std::fill_n(first.mutable_values<float>().data(), 1000, 1.0F);
  const Tensor held = first.Reshaped({10, 100});
  first = Tensor();
  Tensor second = recycler.Allocate(DType::kF32, {1000});
  std::fill_n(second.mutable_values<float>().data(), 1000, 2.0F);
  EXPECT_EQ(held.values<float>()[999], 1.0F);
}

TEST(TensorRecyclerTest, AnotherSizeGetsMemoryOfItsOwn) {
  TensorRecycler recycler;
  recycler.Allocate(DType::kF32, {1000});
  Tensor larger = recycler.Allocate(DType::kF32, {2000});
  std::fill_n(larger.mutable_values<float>().data(), 2000, 1.0F);
  EXPECT_EQ(larger.values<float>()[1999], 1.0F);
}

TEST(TensorRecyclerTest, NoElementsAndScalars) {
  TensorRecycler recycler;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(recycler.Allocate(DType::kF32, {0, 7}).byte_size(), 0u);
    EXPECT_EQ(recycler.Allocate(DType::kF64, {}).byte_size(), 8u);
  }
}

TEST(TensorRecyclerTest, ATensorOutlivesItsRecycler) {
  Tensor tensor;
  {
    TensorRecycler recycler;
    tensor = recycler.Allocate(DType::kF32, {1000});
  }
  std::fill_n(tensor.mutable_values<float>().data(), 1000, 1.0F);
  EXPECT_EQ(tensor.values<float>()[0], 1.0F);
}

TEST(TensorRecyclerTest, TensorsAreLetGoOnAnyThread) {
  TensorRecycler recycler;
  std::vector<std::thread> threads;
  for (int i = 0; i < 200; ++i) {
    Tensor tensor = recycler.Allocate(DType::kF32, {1000});
    std::fill_n(tensor.mutable_values<float>().data(), 1000, static_cast<float>(i));
    threads.emplace_back(
        [tensor = std::move(tensor), i] { ASSERT_EQ(tensor.values<float>()[500], static_cast<float>(i)); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fed_learn
