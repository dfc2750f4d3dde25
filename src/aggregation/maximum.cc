#include "aggregation/maximum.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "aggregation/integer_values.h"

namespace fed_learn {
namespace {

double FloatAt(const Tensor& tensor, std::size_t index) {
  double value = 0;
  BestKernels().For(tensor.dtype()).decode(tensor.bytes().data() + index * SizeOf(tensor.dtype()), 1, &value);
  return value;
}

// Negative doubles order backwards as integers: turning their other bits round puts that right. It is its own inverse.
std::int64_t TurnIfNegative(std::int64_t bits) {
  return bits < 0 ? bits ^ std::numeric_limits<std::int64_t>::max() : bits;
}

std::int64_t KeyOf(double value) { return TurnIfNegative(std::bit_cast<std::int64_t>(value)); }
double DoubleOf(std::int64_t key) { return std::bit_cast<double>(TurnIfNegative(key)); }

// u64 is shifted into the range of int64; all other types fit. Its own inverse.
template <typename T>
constexpr std::uint64_t kShift = std::is_same_v<T, std::uint64_t> ? std::uint64_t{1} << 63 : 0;

template <typename T>
std::int64_t KeyOfInteger(T value) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) ^ kShift<T>);
}

template <typename T>
T IntegerOf(std::int64_t key) {
  return static_cast<T>(static_cast<std::uint64_t>(key) ^ kShift<T>);
}

}  // namespace

Status Maximum::Begin(const Tensor& start, UpdateKind kind) {
  start_ = start;
  kind_ = kind;
  keys_.assign(static_cast<std::size_t>(start.elements()), std::numeric_limits<std::int64_t>::min());
  was_sent_ = false;
  return {};
}

Status Maximum::Stage(const Tensor& update, const Weight& /*weight*/) {
  if (!IsFloat(update.dtype())) return {};
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!std::isfinite(FloatAt(update, i))) return InvalidArgument(fmt::format("element {} is not finite", i));
  }
  return {};
}

void Maximum::Commit(const Tensor& update, const Weight& weight) {
  if (weight.addend.units == 0) return;
  was_sent_ = true;
  if (IsFloat(update.dtype())) {
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = std::max(keys_[i], KeyOf(FloatAt(update, i)));
    return;
  }
  VisitInteger(update.dtype(), [&]<typename T>(T) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      keys_[i] = std::max(keys_[i], KeyOfInteger(LocalValueAt<T>(start_, update, kind_, i)));
    }
  });
}

void Maximum::Undo(const Tensor& /*update*/, const Weight& /*weight*/) {}

Result<Tensor> Maximum::Finish(const StepFunction& /*step*/) {
  const Tensor start = std::exchange(start_, Tensor());
  if (!was_sent_) return start;
  Tensor result = Tensor::Allocate(start.dtype(), start.shape());
  if (!IsFloat(start.dtype())) {
    VisitInteger(start.dtype(), [&]<typename T>(T) {
      auto values = result.mutable_values<T>();
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = IntegerOf<T>(keys_[i]);
    });
    return result;
  }
  std::byte* bytes = result.mutable_bytes().data();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const double largest = DoubleOf(keys_[i]);
    const double value = kind_ == UpdateKind::kWeights ? largest : FloatAt(start, i) + largest;
    BestKernels().For(start.dtype()).encode(&value, 1, bytes + i * SizeOf(start.dtype()));
    if (!std::isfinite(FloatAt(result, i))) {
      return FailedPrecondition(fmt::format("element {} is infinite in the new model", i));
    }
  }
  return result;
}

}  // namespace fed_learn
