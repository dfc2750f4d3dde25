// A Tensor is a dtype, a shape and a shared slice of bytes. Copying one copies a pointer.
//
// Bytes are little-endian, C order, without padding. A Tensor that was made by Allocate begins at a 64-byte boundary;
// one that views foreign memory (a mapped file, a staged upload) may not, so kernels load unaligned.
// Values are immutable once shared: whoever wants to change one checks Unique() or copies. Reading is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fed_learn {

enum class DType : std::uint8_t { kF16, kBF16, kF32, kF64, kI8, kU8, kI16, kU16, kI32, kU32, kI64, kU64, kBool };

std::size_t SizeOf(DType dtype);         // bytes an element
std::string_view ToString(DType dtype);  // "f32", "i64", "bool"; as in the manifest
Result<DType> DTypeFromString(std::string_view name);
bool IsFloat(DType dtype);  // f16, bf16, f32, f64

using Shape = std::vector<std::int64_t>;  // empty: a scalar; a zero: no elements

std::string ToString(const Shape& shape);  // "[64, 3, 7, 7]"

// Elements of a shape. InvalidArgument for a negative size, or if elements × 8 does not fit in int64.
Result<std::int64_t> ElementsOf(const Shape& shape);

class Tensor {
 public:
  // A scalar f32 zero without storage of its own; stands for "no tensor yet".
  Tensor() = default;

  // Zero-filled, 64-byte-aligned. REQUIRES: a valid shape.
  static Tensor Zeros(DType dtype, Shape shape);

  // Like Zeros, contents undefined until written.
  static Tensor Allocate(DType dtype, Shape shape);

  // Views `bytes`, which `owner` keeps alive. REQUIRES: bytes.size() is elements × SizeOf(dtype).
  static Tensor View(DType dtype, Shape shape, std::shared_ptr<const void> owner, std::span<const std::byte> bytes);

  template <typename T>
  static Tensor Of(Shape shape, std::span<const T> values);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return elements_; }
  std::size_t byte_size() const { return bytes_.size(); }
  std::span<const std::byte> bytes() const { return bytes_; }

  // The values as T. REQUIRES: sizeof(T) is SizeOf(dtype()), and storage aligned for T (true for all but odd views).
  template <typename T>
  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(bytes_.data()), static_cast<std::size_t>(elements_)};
  }

  // For filling a tensor that nobody else holds. REQUIRES: made by Zeros, Allocate or Of, and Unique().
  std::span<std::byte> mutable_bytes();
  template <typename T>
  std::span<T> mutable_values() {
    auto bytes = mutable_bytes();
    return {reinterpret_cast<T*>(bytes.data()), static_cast<std::size_t>(elements_)};
  }

  bool Unique() const { return owner_.use_count() == 1; }

  // An own copy of the bytes.
  Tensor Clone() const;

  // The same bytes under another shape with as many elements.
  Tensor Reshaped(Shape shape) const;

 private:
  DType dtype_ = DType::kF32;
  Shape shape_;
  std::int64_t elements_ = 0;
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

// Same dtype, shape and bytes.
bool operator==(const Tensor& a, const Tensor& b);

template <typename T>
constexpr DType DTypeOf();
template <>
constexpr DType DTypeOf<float>() {
  return DType::kF32;
}
template <>
constexpr DType DTypeOf<double>() {
  return DType::kF64;
}
template <>
constexpr DType DTypeOf<std::int8_t>() {
  return DType::kI8;
}
template <>
constexpr DType DTypeOf<std::uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType DTypeOf<std::int16_t>() {
  return DType::kI16;
}
template <>
constexpr DType DTypeOf<std::uint16_t>() {
  return DType::kU16;
}
template <>
constexpr DType DTypeOf<std::int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType DTypeOf<std::uint32_t>() {
  return DType::kU32;
}
template <>
constexpr DType DTypeOf<std::int64_t>() {
  return DType::kI64;
}
template <>
constexpr DType DTypeOf<std::uint64_t>() {
  return DType::kU64;
}

template <typename T>
Tensor Tensor::Of(Shape shape, std::span<const T> values) {
  Tensor tensor = Allocate(DTypeOf<T>(), std::move(shape));
  auto out = tensor.mutable_values<T>();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i];
  return tensor;
}

}  // namespace fed_learn
