#include "aggregation/float_sum.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace fed_learn {
namespace {

constexpr int kExponentMin = -72;
constexpr double kNarrowMax = 0x1p62;
constexpr double kAddendMax = 0x1p110;

// Elements that are looked at, then added, while they are in the first-level cache.
constexpr std::size_t kBlock = 2048;

std::uint64_t InfinityBits(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 0x7c00;
    case DType::kBF16:
      return 0x7f80;
    case DType::kF64:
      return 0x7ff0'0000'0000'0000;
    default:
      return 0x7f80'0000;
  }
}

const std::byte* At(const Tensor& tensor, std::size_t index) {
  return tensor.bytes().data() + index * SizeOf(tensor.dtype());
}

std::size_t SizeOf(const Tensor& tensor) { return static_cast<std::size_t>(tensor.elements()); }

}  // namespace

FloatSum::FloatSum(DType dtype, FloatSumOptions options)
    : dtype_(dtype), options_(options), kernels_(options.kernels->For(dtype)) {}

Status FloatSum::Begin(const Tensor& start, UpdateKind kind) {
  const std::size_t size = SizeOf(start);
  const std::uint64_t bits = MaxMagnitudeBitsOf(start);
  if (bits >= InfinityBits(dtype_)) return NotFinite(start, 0, size);

  start_ = start;
  kind_ = kind;
  const double magnitude = ToDouble(bits);
  const bool is_fine = dtype_ == DType::kF64 || start.elements() <= options_.small_elements_max;
  const int precision_bits = is_fine ? 80 : 44;
  exponent_ = magnitude == 0 ? kExponentMin : std::max(std::ilogb(magnitude) - precision_bits, kExponentMin);
  bound_ = 0;
  divisor_units_ = 0;
  // One that was widened in the last round would be widened in this one too.
  is_wide_ = is_fine || magnitude == 0 || (is_wide_ && wide_.size() == size);
  if (is_wide_) {
    wide_.assign(size, 0);
    narrow_ = {};
  } else {
    narrow_.resize(size);
    wide_ = {};
  }
  is_empty_ = true;
  return {};
}

// Most rounds start from what the last one ended in, and that has been looked at.
std::uint64_t FloatSum::MaxMagnitudeBitsOf(const Tensor& start) const {
  if (start.byte_size() > 0 && start.bytes().data() == last_.bytes().data()) return last_max_bits_;
  return kernels_.max_magnitude_bits(start.bytes().data(), SizeOf(start));
}

// The weight in units of q: exact, as q is a power of two and e ≥ -72.
double FloatSum::ScaleOf(const Weight& weight) const { return std::ldexp(weight.addend.value(), -exponent_); }

double FloatSum::ToDouble(std::uint64_t magnitude_bits) const {
  std::array<std::byte, sizeof(magnitude_bits)> bytes;
  std::memcpy(bytes.data(), &magnitude_bits, sizeof(magnitude_bits));
  double magnitude = 0;
  kernels_.decode(bytes.data(), 1, &magnitude);
  return magnitude;
}

Error FloatSum::NotFinite(const Tensor& update, std::size_t begin, std::size_t end) const {
  const std::uint64_t infinity = InfinityBits(dtype_);
  while (begin + 1 < end && kernels_.max_magnitude_bits(At(update, begin), 1) < infinity) ++begin;
  const bool is_nan = kernels_.max_magnitude_bits(At(update, begin), 1) > infinity;
  return InvalidArgument(fmt::format("element {} is {}", begin, is_nan ? "NaN" : "infinite"));
}

Status FloatSum::Stage(const Tensor& update, const Weight& weight) {
  const std::size_t size = SizeOf(update);
  const double scale = ScaleOf(weight);
  double addend_max = 0;
  for (std::size_t begin = 0; begin < size; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, size);
    const std::uint64_t bits = kernels_.max_magnitude_bits(At(update, begin), end - begin);
    const bool is_finite = bits < InfinityBits(dtype_);
    const double addend = is_finite ? ToDouble(bits) * scale : 0;
    if (!is_finite || addend > kAddendMax) {
      Add(update, 0, begin, -scale);
      if (!is_finite) return NotFinite(update, begin, end);
      return InvalidArgument(fmt::format(
          "a value of magnitude {} with weight {} is too large for the sum; the limit for a tensor that starts as this "
          "one does is {:.3g}",
          ToDouble(bits), weight.addend.value(), std::ldexp(kAddendMax, exponent_)));
    }
    addend_max = std::max(addend_max, addend);
    // Here, block by block in the cache, instead of all of it at the beginning of the round.
    if (is_empty_ && !is_wide_) std::fill_n(narrow_.begin() + static_cast<std::ptrdiff_t>(begin), end - begin, 0);
    if (!is_wide_ && bound_ + addend + 1 > kNarrowMax) Widen(is_empty_ ? begin : size);
    Add(update, begin, end, scale);
  }
  is_empty_ = false;
  bound_before_stage_ = bound_;
  bound_ += addend_max + 1;
  return {};
}

void FloatSum::Commit(const Tensor& /*update*/, const Weight& weight) { divisor_units_ += weight.divisor.units; }

// The rounding is symmetric, so that what was added is what is taken away.
void FloatSum::Undo(const Tensor& update, const Weight& weight) {
  Add(update, 0, SizeOf(update), -ScaleOf(weight));
  bound_ = bound_before_stage_;
}

void FloatSum::Add(const Tensor& update, std::size_t begin, std::size_t end, double scale) {
  if (begin == end) return;
  if (is_wide_) {
    kernels_.add_wide(At(update, begin), end - begin, scale, wide_.data() + begin);
  } else {
    kernels_.add_narrow(At(update, begin), end - begin, scale, narrow_.data() + begin);
  }
}

// The sums from `valid` on are zeros.
void FloatSum::Widen(std::size_t valid) {
  wide_.assign(narrow_.begin(), narrow_.begin() + static_cast<std::ptrdiff_t>(valid));
  wide_.resize(narrow_.size(), 0);
  narrow_ = {};
  is_wide_ = true;
}

void FloatSum::Mean(std::size_t begin, std::span<double> out) const {
  const double divisor = std::ldexp(static_cast<double>(divisor_units_), FixedWeight::kExponent - exponent_);
  if (!is_wide_) {
    options_.kernels->divide(narrow_.data() + begin, out.size(), divisor, out.data());
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(wide_[begin + i]) / divisor;
}

void FloatSum::NewValues(std::size_t begin, const StepFunction& step, std::span<double> out) const {
  Mean(begin, out);
  if (kind_ == UpdateKind::kDifference || step) {
    std::array<double, kBlock> old;
    kernels_.decode(At(start_, begin), out.size(), old.data());
    if (kind_ == UpdateKind::kWeights) {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] -= old[i];
    }
    if (step) step(begin, out);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = old[i] + out[i];
  }
  if (options_.non_negative) {
    for (double& value : out) value = value < 0 ? 0 : value;
  }
}

Result<Tensor> FloatSum::Finish(const StepFunction& step) {
  if (divisor_units_ == 0) return std::exchange(start_, Tensor());
  Tensor result = memory_.Allocate(dtype_, start_.shape());
  std::uint64_t max_bits = 0;
  std::byte* bytes = result.mutable_bytes().data();
  std::array<double, kBlock> values;
  for (std::size_t begin = 0; begin < SizeOf(result); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, SizeOf(result));
    NewValues(begin, step, {values.data(), end - begin});
    kernels_.encode(values.data(), end - begin, bytes + begin * SizeOf(dtype_));
    const std::uint64_t bits = kernels_.max_magnitude_bits(At(result, begin), end - begin);
    if (bits >= InfinityBits(dtype_)) {
      return FailedPrecondition(NotFinite(result, begin, end).message() + " in the new model");
    }
    max_bits = std::max(max_bits, bits);
  }
  start_ = Tensor();
  last_ = result;
  last_max_bits_ = max_bits;
  return result;
}

}  // namespace fed_learn
