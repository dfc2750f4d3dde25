#include "aggregation/kernels.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#define FED_LEARN_INLINE inline __attribute__((always_inline))

namespace fed_learn {
namespace {

// 1.5 × 2^52: a double of less than 2^51 that is added to it is rounded to an integer, to nearest and ties to even, and
// that integer stands in the low bits of the sum. Works on every processor, unlike a conversion to int64.
constexpr double kMagic = 6755399441055744.0;
constexpr std::int64_t kMagicBits = 0x4338'0000'0000'0000;

FED_LEARN_INLINE std::int64_t RoundSmall(double x) { return std::bit_cast<std::int64_t>(x + kMagic) - kMagicBits; }

// Rounds |x| ≤ 2^62. The part above 2^32 is split off first; what is left is exact, and as the part is even, a tie
// goes the same way as it would in the whole.
FED_LEARN_INLINE std::int64_t RoundNarrow(double x) {
  const double shifted = x * 0x1p-32 + kMagic;
  const std::int64_t high = std::bit_cast<std::int64_t>(shifted) - kMagicBits;
  const double low = x - (shifted - kMagic) * 0x1p32;
  return (high << 32) + RoundSmall(low);
}

// Rounds |x| ≤ 2^110, in the same way.
FED_LEARN_INLINE Int128 RoundWide(double x) {
  const double shifted = x * 0x1p-60 + kMagic;
  const std::int64_t high = std::bit_cast<std::int64_t>(shifted) - kMagicBits;
  const double low = x - (shifted - kMagic) * 0x1p60;
  return (static_cast<Int128>(high) << 60) + RoundNarrow(low);
}

// Rounds to `kBits` significant bits, and to the fixed step of the subnormals below 2^kExponentMin.
template <int kBits, int kExponentMin>
FED_LEARN_INLINE double RoundToBits(double x) {
  const std::uint64_t exponent = std::max<std::uint64_t>(std::bit_cast<std::uint64_t>(x) >> 52, 1023 + kExponentMin);
  const double aligner = std::bit_cast<double>((exponent + 53 - kBits) << 52);
  return (x + aligner) - aligner;
}

struct F64 {
  using Bits = std::int64_t;
  static FED_LEARN_INLINE double ToDouble(Bits bits) { return std::bit_cast<double>(bits); }
  static FED_LEARN_INLINE Bits FromDouble(double x) { return std::bit_cast<Bits>(x); }
};

struct F32 {
  using Bits = std::int32_t;
  static FED_LEARN_INLINE double ToDouble(Bits bits) { return static_cast<double>(std::bit_cast<float>(bits)); }
  static FED_LEARN_INLINE Bits FromDouble(double x) { return std::bit_cast<Bits>(static_cast<float>(x)); }
};

struct BF16 {
  using Bits = std::int16_t;
  static FED_LEARN_INLINE double ToDouble(Bits bits) {
    return static_cast<double>(std::bit_cast<float>(static_cast<std::int32_t>(bits) << 16));
  }
  static FED_LEARN_INLINE Bits FromDouble(double x) {
    const std::uint64_t sign = std::bit_cast<std::uint64_t>(x) >> 63;
    const double magnitude = RoundToBits<8, -126>(std::bit_cast<double>(std::bit_cast<std::int64_t>(x) & INT64_MAX));
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude)) >> 16;
    return static_cast<Bits>(bits | (sign << 15));
  }
};

// The exponent's bias differs by 112 from that of a float, which one multiplication corrects, subnormals included.
struct F16 {
  using Bits = std::int16_t;
  static FED_LEARN_INLINE double ToDouble(Bits bits) {
    const std::int32_t wide = bits;
    const float magnitude = std::bit_cast<float>((wide & 0x7fff) << 13) * 0x1p112F;
    const float value = std::bit_cast<float>(std::bit_cast<std::int32_t>(magnitude) | (wide & INT32_MIN));
    return static_cast<double>(value);
  }
  static FED_LEARN_INLINE Bits FromDouble(double x) {
    const std::uint64_t sign = std::bit_cast<std::uint64_t>(x) >> 63;
    const double rounded = RoundToBits<11, -14>(std::bit_cast<double>(std::bit_cast<std::int64_t>(x) & INT64_MAX));
    const double magnitude = rounded < 0x1p16 ? rounded : 0x1p16;
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-112F) >> 13;
    return static_cast<Bits>(bits | (sign << 15));
  }
};

template <typename Bits>
FED_LEARN_INLINE Bits LoadBits(const std::byte* values, std::size_t index) {
  Bits bits;
  std::memcpy(&bits, values + index * sizeof(Bits), sizeof(Bits));
  return bits;
}

template <typename Element>
FED_LEARN_INLINE std::uint64_t MaxMagnitudeBitsLoop(const std::byte* values, std::size_t count) {
  using Bits = typename Element::Bits;
  constexpr Bits kMagnitude = std::numeric_limits<Bits>::max();
  Bits max = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Bits magnitude = static_cast<Bits>(LoadBits<Bits>(values, i) & kMagnitude);
    max = magnitude > max ? magnitude : max;
  }
  return static_cast<std::uint64_t>(max);
}

template <typename Element>
FED_LEARN_INLINE void AddNarrowLoop(const std::byte* values, std::size_t count, double scale, std::int64_t* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += RoundNarrow(Element::ToDouble(LoadBits<typename Element::Bits>(values, i)) * scale);
  }
}

template <typename Element>
FED_LEARN_INLINE void AddWideLoop(const std::byte* values, std::size_t count, double scale, Int128* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += RoundWide(Element::ToDouble(LoadBits<typename Element::Bits>(values, i)) * scale);
  }
}

template <typename Element>
FED_LEARN_INLINE void DecodeLoop(const std::byte* values, std::size_t count, double* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = Element::ToDouble(LoadBits<typename Element::Bits>(values, i));
}

template <typename Element>
FED_LEARN_INLINE void EncodeLoop(const double* values, std::size_t count, std::byte* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = Element::FromDouble(values[i]);
    std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
  }
}

// The two halves become doubles by their place in the mantissa of 2^52 and of 2^84; the last addition is the only one
// that rounds. AVX2 has no conversion from int64.
FED_LEARN_INLINE double ToDouble(std::int64_t sum) {
  const auto bits = static_cast<std::uint64_t>(sum);
  const double low = std::bit_cast<double>((bits & 0xffff'ffff) | 0x4330'0000'0000'0000);
  const double high = std::bit_cast<double>((bits >> 32) ^ 0x4530'0000'8000'0000);
  return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
}

FED_LEARN_INLINE void DivideLoop(const std::int64_t* sums, std::size_t count, double divisor, double* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = ToDouble(sums[i]) / divisor;
}

// One set of functions for a target; the loops are inlined, so that they are compiled for it.
#define FED_LEARN_DEFINE_KERNELS(Name, target)                                                                   \
  struct Name {                                                                                                  \
    template <typename Element>                                                                                  \
    target static std::uint64_t MaxMagnitudeBits(const std::byte* values, std::size_t count) {                   \
      return MaxMagnitudeBitsLoop<Element>(values, count);                                                       \
    }                                                                                                            \
    template <typename Element>                                                                                  \
    target static void AddNarrow(const std::byte* values, std::size_t count, double scale, std::int64_t* sums) { \
      AddNarrowLoop<Element>(values, count, scale, sums);                                                        \
    }                                                                                                            \
    template <typename Element>                                                                                  \
    target static void AddWide(const std::byte* values, std::size_t count, double scale, Int128* sums) {         \
      AddWideLoop<Element>(values, count, scale, sums);                                                          \
    }                                                                                                            \
    template <typename Element>                                                                                  \
    target static void Decode(const std::byte* values, std::size_t count, double* out) {                         \
      DecodeLoop<Element>(values, count, out);                                                                   \
    }                                                                                                            \
    template <typename Element>                                                                                  \
    target static void Encode(const double* values, std::size_t count, std::byte* out) {                         \
      EncodeLoop<Element>(values, count, out);                                                                   \
    }                                                                                                            \
    target static void Divide(const std::int64_t* sums, std::size_t count, double divisor, double* out) {        \
      DivideLoop(sums, count, divisor, out);                                                                     \
    }                                                                                                            \
  }

FED_LEARN_DEFINE_KERNELS(Baseline, );

#ifdef __x86_64__
FED_LEARN_DEFINE_KERNELS(Avx2, __attribute__((target("avx2"))));
#else
using Avx2 = Baseline;
#endif

template <typename Target, typename Element>
constexpr FloatKernels FloatTable() {
  return {
      .max_magnitude_bits = &Target::template MaxMagnitudeBits<Element>,
      .add_narrow = &Target::template AddNarrow<Element>,
      .add_wide = &Target::template AddWide<Element>,
      .decode = &Target::template Decode<Element>,
      .encode = &Target::template Encode<Element>,
  };
}

template <typename Target>
constexpr Kernels kTable{
    .f16 = FloatTable<Target, F16>(),
    .bf16 = FloatTable<Target, BF16>(),
    .f32 = FloatTable<Target, F32>(),
    .f64 = FloatTable<Target, F64>(),
    .divide = &Target::Divide,
};

}  // namespace

const FloatKernels& Kernels::For(DType dtype) const {
  switch (dtype) {
    case DType::kF16:
      return f16;
    case DType::kBF16:
      return bf16;
    case DType::kF64:
      return f64;
    default:
      return f32;
  }
}

bool IsSupported(CpuTarget target) {
#ifdef __x86_64__
  if (target == CpuTarget::kAvx2) return __builtin_cpu_supports("avx2") != 0;
#endif
  return target == CpuTarget::kBaseline;
}

const Kernels& KernelsFor(CpuTarget target) { return target == CpuTarget::kAvx2 ? kTable<Avx2> : kTable<Baseline>; }

const Kernels& BestKernels() {
  return KernelsFor(IsSupported(CpuTarget::kAvx2) ? CpuTarget::kAvx2 : CpuTarget::kBaseline);
}

}  // namespace fed_learn
