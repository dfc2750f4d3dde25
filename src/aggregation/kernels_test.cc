#include "aggregation/kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "base/random.h"

namespace fed_learn {
namespace {

constexpr std::array<std::size_t, 8> kSizes{0, 1, 3, 4, 7, 31, 64, 1027};
constexpr std::array<DType, 4> kFloats{DType::kF16, DType::kBF16, DType::kF32, DType::kF64};

// Any bits at all: subnormals, infinities and NaN too.
std::vector<std::byte> RandomBytes(Random& random, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Below(256));
  return bytes;
}

template <typename T>
std::vector<std::byte> BytesOf(std::span<const T> values) {
  std::vector<std::byte> bytes(values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<CpuTarget> SupportedTargets() {
  std::vector<CpuTarget> targets;
  for (const CpuTarget target : {CpuTarget::kBaseline, CpuTarget::kAvx2}) {
    if (IsSupported(target)) targets.push_back(target);
  }
  return targets;
}

class KernelsTest : public testing::TestWithParam<CpuTarget> {
 protected:
  const Kernels& kernels_ = KernelsFor(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Targets, KernelsTest, testing::ValuesIn(SupportedTargets()),
                         [](const auto& info) { return info.param == CpuTarget::kAvx2 ? "Avx2" : "Baseline"; });

// The value of a small float, from its definition.
double SmallFloat(std::uint32_t bits, int mantissa_bits, int bias) {
  const std::uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
  const int exponent = static_cast<int>((bits & 0x7fff) >> mantissa_bits);
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                               : std::ldexp(mantissa + (1U << mantissa_bits), exponent - bias - mantissa_bits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

struct SmallFormat {
  DType dtype;
  int mantissa_bits;
  int bias;
  std::uint16_t infinity;
};
constexpr std::array<SmallFormat, 2> kSmallFormats{{{DType::kF16, 10, 15, 0x7c00}, {DType::kBF16, 7, 127, 0x7f80}}};

TEST_P(KernelsTest, EveryFiniteSmallFloatIsDecodedExactlyAndEncodedBack) {
  for (const SmallFormat& format : kSmallFormats) {
    std::vector<std::uint16_t> all;
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      if ((bits & 0x7fff) < format.infinity) all.push_back(static_cast<std::uint16_t>(bits));
    }
    const auto bytes = BytesOf<std::uint16_t>(all);
    std::vector<double> decoded(all.size());
    kernels_.For(format.dtype).decode(bytes.data(), all.size(), decoded.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(decoded[i]),
                std::bit_cast<std::uint64_t>(SmallFloat(all[i], format.mantissa_bits, format.bias)))
          << all[i];
    }
    std::vector<std::byte> encoded(bytes.size());
    kernels_.For(format.dtype).encode(decoded.data(), decoded.size(), encoded.data());
    EXPECT_EQ(encoded, bytes);
  }
}

TEST_P(KernelsTest, SmallFloatsAreEncodedToNearestWithTiesToEven) {
  for (const SmallFormat& format : kSmallFormats) {
    const auto encode = [&](double value) {
      std::uint16_t bits = 0;
      kernels_.For(format.dtype).encode(&value, 1, reinterpret_cast<std::byte*>(&bits));
      return bits;
    };
    for (std::uint16_t bits = 0; bits < format.infinity; ++bits) {
      const double low = SmallFloat(bits, format.mantissa_bits, format.bias);
      const double high = SmallFloat(bits + 1U, format.mantissa_bits, format.bias);  // 2^(max + 1) after the last
      const double middle = (low + high) / 2;
      const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
      ASSERT_EQ(encode(middle), even) << bits;
      ASSERT_EQ(encode(std::nextafter(middle, 0)), bits) << bits;
      ASSERT_EQ(encode(std::nextafter(middle, HUGE_VAL)), bits + 1) << bits;
      ASSERT_EQ(encode(-middle), even | 0x8000) << bits;
    }
    EXPECT_EQ(encode(1e300), format.infinity);
    EXPECT_EQ(encode(-HUGE_VAL), format.infinity | 0x8000);
    EXPECT_GE(encode(std::nan("")) & 0x7fff, format.infinity);
    EXPECT_EQ(encode(5e-324), 0);
  }
}

TEST_P(KernelsTest, AddRoundsTheProductToTheNearestIntegerWithTiesToEven) {
  std::vector<double> values{0.0,          -0.0,          0.5,          1.5,
                             2.5,          -0.5,          -1.5,         0.49999999999999994,
                             0x1p31,       -0x1p31,       0x1p51 + 0.5, 0x1p51 + 1.5,
                             0x1p52 - 0.5, -0x1p52 + 0.5, 0x1p53,       0x1p62,
                             -0x1p62,      5e-324,        0x1p32 + 0.5, -0x1.8p31 - 0.5};
  Random random(7);
  for (int i = 0; i < 2000; ++i) values.push_back(std::ldexp(random.Normal(), static_cast<int>(random.Below(60)) - 2));
  const auto bytes = BytesOf<double>(values);
  std::vector<std::int64_t> narrow(values.size(), 100);
  std::vector<Int128> wide(values.size(), 100);
  kernels_.f64.add_narrow(bytes.data(), values.size(), 1, narrow.data());
  kernels_.f64.add_wide(bytes.data(), values.size(), 1, wide.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto expected = static_cast<std::int64_t>(std::nearbyint(values[i])) + 100;
    ASSERT_EQ(narrow[i], expected) << values[i];
    ASSERT_TRUE(wide[i] == expected) << values[i];
  }
}

TEST_P(KernelsTest, WideAddIsRightUpToItsLimit) {
  Random random(8);
  std::vector<double> values{0x1p110, -0x1p110, 0x1p60, 0x1p60 + 256, -0x1p59};
  for (int i = 0; i < 2000; ++i) values.push_back(std::ldexp(random.Normal(), static_cast<int>(random.Below(107))));
  std::vector<Int128> sums(values.size(), 0);
  kernels_.f64.add_wide(BytesOf<double>(values).data(), values.size(), 1, sums.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(sums[i] == static_cast<Int128>(std::nearbyint(values[i]))) << values[i];
  }
}

TEST_P(KernelsTest, SumsAreDividedWithOneRoundingEach) {
  std::vector<std::int64_t> sums{0,
                                 1,
                                 -1,
                                 std::numeric_limits<std::int64_t>::max(),
                                 std::numeric_limits<std::int64_t>::min(),
                                 (std::int64_t{1} << 53) + 1};
  Random random(9);
  for (int i = 0; i < 1000; ++i) sums.push_back(static_cast<std::int64_t>(random.Next() >> random.Below(63)));
  std::vector<double> out(sums.size());
  kernels_.divide(sums.data(), sums.size(), 3, out.data());
  for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(out[i], static_cast<double>(sums[i]) / 3) << sums[i];
}

TEST_P(KernelsTest, LargestMagnitudeOrdersInfinityAndNanLast) {
  const auto bits_of = [this](std::vector<float> values) {
    return kernels_.f32.max_magnitude_bits(BytesOf<float>(values).data(), values.size());
  };
  EXPECT_EQ(bits_of({}), 0U);
  EXPECT_EQ(bits_of({0.0F, -0.0F}), 0U);
  EXPECT_EQ(bits_of({1, -3, 2}), std::bit_cast<std::uint32_t>(3.0F));
  EXPECT_EQ(bits_of({1, -HUGE_VALF, 2}), 0x7f80'0000U);
  EXPECT_GT(bits_of({1, -std::nanf(""), HUGE_VALF}), 0x7f80'0000U);
}

TEST(KernelsTargetsTest, AllGiveTheSameBitsAtAnyAlignment) {
  const Kernels& baseline = KernelsFor(CpuTarget::kBaseline);
  const Kernels& best = BestKernels();
  Random random(10);
  for (const DType dtype : kFloats) {
    for (const std::size_t size : kSizes) {
      for (const std::size_t offset : {0, 1, 5}) {
        auto bytes = RandomBytes(random, offset + size * SizeOf(dtype));
        const FloatKernels& a = baseline.For(dtype);
        const FloatKernels& b = best.For(dtype);
        const std::byte* values = bytes.data() + offset;
        EXPECT_EQ(a.max_magnitude_bits(values, size), b.max_magnitude_bits(values, size));

        std::vector<double> decoded(size);
        for (double& value : decoded) value = random.Normal() * std::ldexp(1, static_cast<int>(random.Below(50)) - 30);
        std::vector<std::byte> encoded_a(bytes.size());
        std::vector<std::byte> encoded_b(bytes.size());
        a.encode(decoded.data(), size, encoded_a.data() + offset);
        b.encode(decoded.data(), size, encoded_b.data() + offset);
        EXPECT_EQ(encoded_a, encoded_b);

        std::vector<std::int64_t> narrow_a(size, 5);
        std::vector<std::int64_t> narrow_b(size, 5);
        a.add_narrow(encoded_a.data() + offset, size, 1234.5, narrow_a.data());
        b.add_narrow(encoded_a.data() + offset, size, 1234.5, narrow_b.data());
        EXPECT_EQ(narrow_a, narrow_b);

        std::vector<Int128> wide_a(size, 5);
        std::vector<Int128> wide_b(size, 5);
        a.add_wide(encoded_a.data() + offset, size, 0x1.8p60, wide_a.data());
        b.add_wide(encoded_a.data() + offset, size, 0x1.8p60, wide_b.data());
        EXPECT_TRUE(wide_a == wide_b);
      }
    }
  }
}

}  // namespace
}  // namespace fed_learn
