#include "model/tensor.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "model/large_memory.h"

namespace fed_learn {
namespace {

constexpr std::size_t kAlignment = 64;

struct DTypeFacts {
  std::string_view name;
  std::size_t size;
};

// In the order of the enumeration.
constexpr std::array<DTypeFacts, 13> kDTypes = {{{"f16", 2},
                                                 {"bf16", 2},
                                                 {"f32", 4},
                                                 {"f64", 8},
                                                 {"i8", 1},
                                                 {"u8", 1},
                                                 {"i16", 2},
                                                 {"u16", 2},
                                                 {"i32", 4},
                                                 {"u32", 4},
                                                 {"i64", 8},
                                                 {"u64", 8},
                                                 {"bool", 1}}};

const DTypeFacts& Facts(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

std::int64_t ElementsOfValid(const Shape& shape) {
  const auto elements = ElementsOf(shape);
  assert(elements.has_value());
  return elements.value();
}

struct Block {
  std::shared_ptr<const void> owner;
  std::byte* bytes;
};

// Zeroed memory comes from calloc, which gets a large block from the system as zero pages without touching them; it
// knows no alignment, so the block is a little longer and begins inside.
Block AllocateBlock(std::size_t size, bool zeroed) {
  const std::size_t padded = size + kAlignment;
  void* raw = zeroed ? std::calloc(padded, 1) : std::malloc(padded);
  if (raw == nullptr) throw std::bad_alloc();
  PreferHugePages(raw, padded);
  std::shared_ptr<void> owner(raw, std::free);
  std::size_t space = padded;
  void* aligned = std::align(kAlignment, size, raw, space);
  return {std::move(owner), static_cast<std::byte*>(aligned)};
}

}  // namespace

std::size_t SizeOf(DType dtype) { return Facts(dtype).size; }

std::string_view ToString(DType dtype) { return Facts(dtype).name; }

Result<DType> DTypeFromString(std::string_view name) {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return InvalidArgument("dtype '" + std::string(name) +
                         "' is not known; use f16 bf16 f32 f64 i8 u8 i16 u16 i32 u32 i64 u64 or bool");
}

bool IsFloat(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32 || dtype == DType::kF64;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

Result<std::int64_t> ElementsOf(const Shape& shape) {
  constexpr std::int64_t elements_max = std::numeric_limits<std::int64_t>::max() / 8;
  if (std::any_of(shape.begin(), shape.end(), [](std::int64_t size) { return size < 0; })) {
    return InvalidArgument("shape " + ToString(shape) + " has a negative size");
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (size > elements_max / elements) {
      return InvalidArgument("shape " + ToString(shape) + " has more elements than a machine can address");
    }
    elements *= size;
  }
  return elements;
}

Tensor Tensor::Zeros(DType dtype, Shape shape) {
  const auto size = static_cast<std::size_t>(ElementsOfValid(shape)) * SizeOf(dtype);
  Block block = AllocateBlock(size, true);
  return View(dtype, std::move(shape), std::move(block.owner), {block.bytes, size});
}

Tensor Tensor::Allocate(DType dtype, Shape shape) {
  const auto size = static_cast<std::size_t>(ElementsOfValid(shape)) * SizeOf(dtype);
  Block block = AllocateBlock(size, false);
  return View(dtype, std::move(shape), std::move(block.owner), {block.bytes, size});
}

Tensor Tensor::View(DType dtype, Shape shape, std::shared_ptr<const void> owner, std::span<const std::byte> bytes) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.elements_ = ElementsOfValid(shape);
  assert(bytes.size() == static_cast<std::size_t>(tensor.elements_) * SizeOf(dtype));
  tensor.shape_ = std::move(shape);
  tensor.owner_ = std::move(owner);
  tensor.bytes_ = bytes;
  return tensor;
}

// What Allocate made is not const underneath; the view is const so that shared values stay as they are.
std::span<std::byte> Tensor::mutable_bytes() {
  assert(Unique());
  return {const_cast<std::byte*>(bytes_.data()), bytes_.size()};
}

Tensor Tensor::Clone() const {
  if (owner_ == nullptr && bytes_.empty()) return *this;
  Tensor copy = Allocate(dtype_, shape_);
  if (!bytes_.empty()) std::memcpy(copy.mutable_bytes().data(), bytes_.data(), bytes_.size());
  return copy;
}

Tensor Tensor::Reshaped(Shape shape) const {
  assert(ElementsOfValid(shape) == elements_);
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape() || a.byte_size() != b.byte_size()) return false;
  return a.byte_size() == 0 || std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_size()) == 0;
}

}  // namespace fed_learn
