#include "model/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace fed_learn {
namespace {

bool IsAligned(const Tensor& tensor) { return reinterpret_cast<std::uintptr_t>(tensor.bytes().data()) % 64 == 0; }

TEST(DTypeTest, NamesAndSizesAreThoseOfTheManifest) {
  const std::array<std::pair<DType, std::size_t>, 13> all = {{{DType::kF16, 2},
                                                              {DType::kBF16, 2},
                                                              {DType::kF32, 4},
                                                              {DType::kF64, 8},
                                                              {DType::kI8, 1},
                                                              {DType::kU8, 1},
                                                              {DType::kI16, 2},
                                                              {DType::kU16, 2},
                                                              {DType::kI32, 4},
                                                              {DType::kU32, 4},
                                                              {DType::kI64, 8},
                                                              {DType::kU64, 8},
                                                              {DType::kBool, 1}}};
  for (const auto& [dtype, size] : all) {
    EXPECT_EQ(SizeOf(dtype), size) << ToString(dtype);
    EXPECT_EQ(DTypeFromString(ToString(dtype)).value(), dtype);
  }
  EXPECT_EQ(ToString(DType::kBF16), "bf16");
  EXPECT_EQ(ToString(DType::kU32), "u32");
  EXPECT_EQ(ToString(DType::kBool), "bool");
}

TEST(DTypeTest, UnknownNameIsRefusedWithTheKnownOnes) {
  const auto dtype = DTypeFromString("float32");
  ASSERT_FALSE(dtype.has_value());
  EXPECT_EQ(dtype.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_NE(dtype.error().message().find("'float32'"), std::string::npos);
}

TEST(DTypeTest, FourAreFloats) {
  EXPECT_TRUE(IsFloat(DType::kF16));
  EXPECT_TRUE(IsFloat(DType::kBF16));
  EXPECT_TRUE(IsFloat(DType::kF32));
  EXPECT_TRUE(IsFloat(DType::kF64));
  EXPECT_FALSE(IsFloat(DType::kBool));
  EXPECT_FALSE(IsFloat(DType::kI64));
}

TEST(ShapeTest, ElementsOfScalarEmptyAndMatrix) {
  EXPECT_EQ(ElementsOf({}).value(), 1);
  EXPECT_EQ(ElementsOf({0}).value(), 0);
  EXPECT_EQ(ElementsOf({std::numeric_limits<std::int64_t>::max(), 0}).value(), 0);
  EXPECT_EQ(ElementsOf({64, 3, 7, 7}).value(), 64 * 3 * 7 * 7);
  EXPECT_EQ(ToString(Shape{64, 3, 7, 7}), "[64, 3, 7, 7]");
  EXPECT_EQ(ToString(Shape{}), "[]");
}

TEST(ShapeTest, NegativeSizeIsRefused) {
  EXPECT_FALSE(ElementsOf({3, -1}).has_value());
  EXPECT_FALSE(ElementsOf({0, -1}).has_value());
}

TEST(ShapeTest, MoreElementsThanFitAreRefused) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() / 8;
  EXPECT_EQ(ElementsOf({most}).value(), most);
  EXPECT_FALSE(ElementsOf({most + 1}).has_value());
  EXPECT_FALSE(ElementsOf({std::int64_t{1} << 32, std::int64_t{1} << 32}).has_value());
}

TEST(TensorTest, DefaultHasNoStorage) {
  const Tensor tensor;
  EXPECT_EQ(tensor.dtype(), DType::kF32);
  EXPECT_TRUE(tensor.shape().empty());
  EXPECT_EQ(tensor.byte_size(), 0u);
  EXPECT_FALSE(tensor.Unique());
  EXPECT_EQ(tensor.Clone(), tensor);
}

TEST(TensorTest, AllocatedTensorsAreAligned) {
  for (const std::int64_t size : {0, 1, 3, 64, 1000, 1 << 20}) {
    Tensor tensor = Tensor::Allocate(DType::kF64, {size});
    EXPECT_TRUE(IsAligned(tensor)) << size;
    EXPECT_TRUE(tensor.Unique());
    EXPECT_EQ(tensor.elements(), size);
    EXPECT_EQ(tensor.mutable_bytes().size(), static_cast<std::size_t>(size) * 8);
  }
}

TEST(TensorTest, ZerosAreZeroAndAligned) {
  for (const std::int64_t size : {0, 1, 5, 1 << 18}) {
    const Tensor tensor = Tensor::Zeros(DType::kF32, {size});
    EXPECT_TRUE(IsAligned(tensor)) << size;
    for (const float value : tensor.values<float>()) ASSERT_EQ(value, 0.0f);
  }
}

TEST(TensorTest, CopySharesAndCloneDoesNot) {
  const std::array<float, 3> values = {1, 2, 3};
  Tensor tensor = Tensor::Of<float>({3}, values);
  Tensor shared = tensor;
  EXPECT_FALSE(tensor.Unique());
  EXPECT_EQ(shared.bytes().data(), tensor.bytes().data());
  Tensor own = tensor.Clone();
  EXPECT_EQ(own, tensor);
  EXPECT_TRUE(own.Unique());
  own.mutable_values<float>()[0] = 9;
  EXPECT_EQ(tensor.values<float>()[0], 1.0f);
  EXPECT_FALSE(own == tensor);
}

TEST(TensorTest, ViewKeepsItsOwnerAlive) {
  auto bytes = std::make_shared<std::vector<std::byte>>(9, std::byte{7});
  const std::weak_ptr<std::vector<std::byte>> watched = bytes;
  const auto odd = std::span<const std::byte>(*bytes).subspan(1);
  {
    const Tensor tensor = Tensor::View(DType::kU8, {2, 4}, std::move(bytes), odd);
    EXPECT_FALSE(watched.expired());
    EXPECT_EQ(tensor.bytes().data(), odd.data());
    EXPECT_EQ(tensor.values<std::uint8_t>()[7], 7);
  }
  EXPECT_TRUE(watched.expired());
}

TEST(TensorTest, ReshapedSharesTheBytes) {
  const std::array<std::int64_t, 6> values = {1, 2, 3, 4, 5, 6};
  const Tensor tensor = Tensor::Of<std::int64_t>({6}, values);
  const Tensor reshaped = tensor.Reshaped({2, 3});
  EXPECT_EQ(reshaped.shape(), (Shape{2, 3}));
  EXPECT_EQ(reshaped.bytes().data(), tensor.bytes().data());
  EXPECT_FALSE(reshaped == tensor);
  EXPECT_EQ(reshaped.Reshaped({6}), tensor);
}

TEST(TensorTest, EqualityLooksAtDTypeShapeAndBytes) {
  const Tensor a = Tensor::Zeros(DType::kF32, {2});
  EXPECT_EQ(a, Tensor::Zeros(DType::kF32, {2}));
  EXPECT_FALSE(a == Tensor::Zeros(DType::kI32, {2}));
  EXPECT_FALSE(a == Tensor::Zeros(DType::kF32, {2, 1}));
  EXPECT_EQ(Tensor::Zeros(DType::kF32, {0}), Tensor::Allocate(DType::kF32, {0}));
}

}  // namespace
}  // namespace fed_learn
