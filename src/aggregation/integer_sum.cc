#include "aggregation/integer_sum.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "aggregation/integer_values.h"

namespace fed_learn {
namespace {

constexpr double kAddendMax = 0x1p110;

// sum / divisor to the nearest integer; of two equally near ones that which makes `start` + it even.
Int128 DivideToNearest(Int128 sum, Int128 divisor, Int128 start) {
  Int128 quotient = sum / divisor;
  Int128 rest = sum % divisor;
  if (rest < 0) {
    rest += divisor;
    --quotient;
  }
  const bool is_odd = ((start + quotient) & 1) != 0;
  return 2 * rest > divisor || (2 * rest == divisor && is_odd) ? quotient + 1 : quotient;
}

template <typename T>
Int128 LocalDifference(const Tensor& start, const Tensor& update, UpdateKind kind, std::size_t index) {
  return static_cast<Int128>(LocalValueAt<T>(start, update, kind, index)) - ValueAt<T>(start, index);
}

}  // namespace

Status IntegerSum::Begin(const Tensor& start, UpdateKind kind) {
  start_ = start;
  kind_ = kind;
  sums_.assign(static_cast<std::size_t>(start.elements()), 0);
  divisor_units_ = 0;
  return {};
}

Status IntegerSum::Stage(const Tensor& update, const Weight& weight) {
  const auto units = static_cast<double>(weight.addend.units);
  return VisitInteger(update.dtype(), [&]<typename T>(T) -> Status {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const auto difference = static_cast<double>(LocalDifference<T>(start_, update, kind_, i));
      if (std::abs(difference) * units <= kAddendMax) continue;
      return InvalidArgument(fmt::format("element {} is {} away from the starting model, too far for a weight of {}", i,
                                         std::abs(difference), weight.addend.value()));
    }
    return {};
  });
}

void IntegerSum::Commit(const Tensor& update, const Weight& weight) {
  VisitInteger(update.dtype(), [&]<typename T>(T) {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      sums_[i] += LocalDifference<T>(start_, update, kind_, i) * weight.addend.units;
    }
  });
  divisor_units_ += weight.divisor.units;
}

void IntegerSum::Undo(const Tensor& /*update*/, const Weight& /*weight*/) {}

Result<Tensor> IntegerSum::Finish(const StepFunction& /*step*/) {
  const Tensor start = std::exchange(start_, Tensor());
  if (divisor_units_ == 0) return start;
  Tensor result = Tensor::Allocate(start.dtype(), start.shape());
  VisitInteger(start.dtype(), [&]<typename T>(T) {
    auto values = result.mutable_values<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Int128 old = ValueAt<T>(start, i);
      const Int128 value = old + DivideToNearest(sums_[i], divisor_units_, old);
      values[i] =
          static_cast<T>(std::clamp<Int128>(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
  });
  return result;
}

}  // namespace fed_learn
