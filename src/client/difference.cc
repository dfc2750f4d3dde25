#include "client/difference.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace fed_learn {
namespace {

float FloatFromBFloat(std::uint16_t value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16); }

// The bits above `dropped`, rounded to nearest, ties to even.
std::uint32_t Rounded(std::uint32_t bits, int dropped) {
  const std::uint32_t half = (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
  return (bits + half) >> dropped;
}

std::uint16_t BFloatFromFloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>(Rounded(bits, 16));
}

float FloatFromHalf(std::uint16_t value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value & 0x8000) << 16;
  const std::uint32_t exponent = (value >> 10) & 0x1f;
  const std::uint32_t fraction = value & 0x3ff;
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(fraction), -24), std::bit_cast<float>(sign));
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

std::uint16_t HalfFromFloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const float magnitude = std::fabs(value);
  std::uint32_t rest = 0;
  if (std::isnan(value)) {
    rest = 0x7e00;
  } else if (magnitude >= 65520.0f) {
    rest = 0x7c00;
  } else if (magnitude < 0x1p-14f) {
    rest = static_cast<std::uint32_t>(std::nearbyint(magnitude * 0x1p24f));
  } else {
    rest = Rounded(bits & 0x7fffffff, 13) - (112u << 10);
  }
  return static_cast<std::uint16_t>(sign | rest);
}

// Views of foreign memory may be unaligned, so values are copied out of their bytes.
template <typename T, typename Subtract>
Tensor Subtracted(const Tensor& local, const Tensor& global, Subtract subtract) {
  Tensor difference = Tensor::Allocate(local.dtype(), local.shape());
  std::byte* out = difference.mutable_bytes().data();
  for (std::size_t at = 0; at < local.byte_size(); at += sizeof(T)) {
    T a;
    T b;
    std::memcpy(&a, local.bytes().data() + at, sizeof(T));
    std::memcpy(&b, global.bytes().data() + at, sizeof(T));
    const T value = subtract(a, b);
    std::memcpy(out + at, &value, sizeof(T));
  }
  return difference;
}

template <typename T>
Tensor Subtracted(const Tensor& local, const Tensor& global) {
  return Subtracted<T>(local, global, [](T a, T b) { return static_cast<T>(a - b); });
}

}  // namespace

Tensor Difference(const Tensor& local, const Tensor& global) {
  switch (local.dtype()) {
    case DType::kF16:
      return Subtracted<std::uint16_t>(local, global, [](std::uint16_t a, std::uint16_t b) {
        return HalfFromFloat(FloatFromHalf(a) - FloatFromHalf(b));
      });
    case DType::kBF16:
      return Subtracted<std::uint16_t>(local, global, [](std::uint16_t a, std::uint16_t b) {
        return BFloatFromFloat(FloatFromBFloat(a) - FloatFromBFloat(b));
      });
    case DType::kF32:
      return Subtracted<float>(local, global);
    case DType::kF64:
      return Subtracted<double>(local, global);
    case DType::kI8:
    case DType::kU8:
      return Subtracted<std::uint8_t>(local, global);
    case DType::kI16:
    case DType::kU16:
      return Subtracted<std::uint16_t>(local, global);
    case DType::kI32:
    case DType::kU32:
      return Subtracted<std::uint32_t>(local, global);
    case DType::kI64:
    case DType::kU64:
      return Subtracted<std::uint64_t>(local, global);
    case DType::kBool:
      break;
  }
  return Subtracted<std::uint8_t>(local, global, [](std::uint8_t a, std::uint8_t b) -> std::uint8_t { return a != b; });
}

Result<ModelData> Difference(const ModelData& local, const ModelData& global) {
  ModelData difference;
  for (const NamedTensor& tensor : local) {
    const NamedTensor* start = global.Find(tensor.name);
    RETURN_IF_ERROR(difference.Add(tensor.name, Difference(tensor.tensor, start->tensor), start->role));
  }
  return difference;
}

}  // namespace fed_learn
