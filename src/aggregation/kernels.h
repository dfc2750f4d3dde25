// The loops of the accumulator, one table of them for each kind of processor.
//
// Every table gives the same bits: a loop consists of IEEE operations that are each rounded once, whatever the width of
// the vector. Values are little-endian bytes that may begin anywhere. Pure functions; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/tensor.h"

namespace fed_learn {

// Not in ISO C++; both of our compilers have it on every 64-bit machine.
__extension__ using Int128 = __int128;

// There is none for AVX-512: from memory it is as fast as AVX2, within the caches 15% faster at most.
enum class CpuTarget { kBaseline, kAvx2 };

// Whether this processor has what the target needs.
bool IsSupported(CpuTarget target);

// The loops over one floating-point type. `count` is in elements.
struct FloatKernels {
  // The largest magnitude as the bits of its type, sign bit cleared; those order as the magnitudes do, with infinity
  // and then NaN above all. Zero for no elements.
  std::uint64_t (*max_magnitude_bits)(const std::byte* values, std::size_t count);

  // sums[i] += round(values[i] × scale), the product in double, then to the nearest integer, ties to even.
  // REQUIRES: finite values, |product| ≤ 2^62 (narrow) or 2^110 (wide), and sums that do not overflow.
  void (*add_narrow)(const std::byte* values, std::size_t count, double scale, std::int64_t* sums);
  void (*add_wide)(const std::byte* values, std::size_t count, double scale, Int128* sums);

  // To double, exactly.
  void (*decode)(const std::byte* values, std::size_t count, double* out);

  // From double, rounded once to nearest, ties to even; infinity where the type ends, infinity or NaN for NaN.
  void (*encode)(const double* values, std::size_t count, std::byte* out);
};

struct Kernels {
  FloatKernels f16;
  FloatKernels bf16;
  FloatKernels f32;
  FloatKernels f64;

  // REQUIRES: a floating-point dtype.
  const FloatKernels& For(DType dtype) const;

  // out[i] = double(sums[i]) / divisor; each step rounded once.
  void (*divide)(const std::int64_t* sums, std::size_t count, double divisor, double* out);
};

// REQUIRES: IsSupported(target).
const Kernels& KernelsFor(CpuTarget target);

// Those of the best target that this processor supports.
const Kernels& BestKernels();

}  // namespace fed_learn
