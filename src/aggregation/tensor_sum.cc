#include "aggregation/tensor_sum.h"

#include <fmt/format.h>

#include <cmath>

namespace fed_learn {

Result<FixedWeight> FixedWeight::From(double weight) {
  constexpr double kMax = 0x1p60;
  if (!std::isfinite(weight) || weight < 0) {
    return InvalidArgument(fmt::format("its weight is {}; a weight is a finite number that is not negative", weight));
  }
  if (weight > kMax) return InvalidArgument(fmt::format("its weight is {}; the largest is 2^60", weight));
  FixedWeight fixed;
  fixed.units = static_cast<Int128>(std::nearbyint(std::ldexp(weight, -kExponent)));
  return fixed;
}

double FixedWeight::value() const { return std::ldexp(static_cast<double>(units), kExponent); }

}  // namespace fed_learn
