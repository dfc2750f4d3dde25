// The values of integer tensors, whatever their type and alignment.
#pragma once

#include <cstring>
#include <type_traits>

#include "model/contribution.h"
#include "model/tensor.h"

namespace fed_learn {

// Calls `visit` with a zero of the integer type that `dtype` names. REQUIRES: an integer dtype.
template <typename Visitor>
auto VisitInteger(DType dtype, Visitor visit) {
  switch (dtype) {
    case DType::kI8:
      return visit(std::int8_t{});
    case DType::kU8:
      return visit(std::uint8_t{});
    case DType::kI16:
      return visit(std::int16_t{});
    case DType::kU16:
      return visit(std::uint16_t{});
    case DType::kI32:
      return visit(std::int32_t{});
    case DType::kU32:
      return visit(std::uint32_t{});
    case DType::kU64:
      return visit(std::uint64_t{});
    default:
      return visit(std::int64_t{});
  }
}

template <typename T>
T ValueAt(const Tensor& tensor, std::size_t index) {
  T value;
  std::memcpy(&value, tensor.bytes().data() + index * sizeof(T), sizeof(T));
  return value;
}

// What the site had: the update itself, or the starting value plus the difference, modulo 2^bits as it was made.
template <typename T>
T LocalValueAt(const Tensor& start, const Tensor& update, UpdateKind kind, std::size_t index) {
  const T value = ValueAt<T>(update, index);
  if (kind == UpdateKind::kWeights) return value;
  using Unsigned = std::make_unsigned_t<T>;
  return static_cast<T>(static_cast<Unsigned>(ValueAt<T>(start, index)) + static_cast<Unsigned>(value));
}

}  // namespace fed_learn
