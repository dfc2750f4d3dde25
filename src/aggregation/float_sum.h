// FloatSum: the exact sum of weighted floating-point tensors, which is the same bits in any order.
//
// A quantum q = 2^e is fixed before the round from the starting values: 2^-44 of the power of two below their largest
// magnitude, 2^-80 for f64 and for small tensors, but not below 2^-72, which is also that of a tensor of zeros. What a
// contribution adds is
//     round(round(value × weight) / q),
// the product rounded to a double, the quotient to the nearest integer, both with ties to even. Each of these depends
// on the contribution alone; the sums of the integers are exact, and so are the sums of the weights. An f16, bf16 or
// f32 value times a whole weight below 2^29 is exact as well, so that only the quotient rounds: by at most q/2.
//
// The sum of an element is an int64. Where it could leave that (the sum of the largest magnitudes says so in time), the
// tensor goes on in 128 bits: the same q, so the same value, and the order still does not matter. f64, tensors of zeros
// and small ones begin there: BatchNorm's statistics are small tensors, their range from channel to channel is large,
// and 44 bits would not hold it. A value × weight beyond 2^110 q is refused: 2.7e11 in a tensor of zeros, 1e9 times the
// largest starting magnitude at least in any other. The limit is one for each value, not for the sum, so that it does
// not depend on the order either.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aggregation/tensor_sum.h"
#include "model/tensor_recycler.h"

namespace fed_learn {

struct FloatSumOptions {
  const Kernels* kernels = &BestKernels();
  bool non_negative = false;               // new values below zero become zero: a variance
  std::int64_t small_elements_max = 4096;  // a small tensor has no more
};

class FloatSum : public TensorSum {
 public:
  FloatSum(DType dtype, FloatSumOptions options);

  Status Begin(const Tensor& start, UpdateKind kind) override;
  Status Stage(const Tensor& update, const Weight& weight) override;
  void Commit(const Tensor& update, const Weight& weight) override;
  void Undo(const Tensor& update, const Weight& weight) override;
  Result<Tensor> Finish(const StepFunction& step) override;

  int quantum_exponent() const { return exponent_; }
  bool is_wide() const { return is_wide_; }

 private:
  double ScaleOf(const Weight& weight) const;
  double ToDouble(std::uint64_t magnitude_bits) const;
  std::uint64_t MaxMagnitudeBitsOf(const Tensor& start) const;
  Error NotFinite(const Tensor& update, std::size_t begin, std::size_t end) const;
  void Add(const Tensor& update, std::size_t begin, std::size_t end, double scale);
  void Widen(std::size_t valid);
  void Mean(std::size_t begin, std::span<double> out) const;
  void NewValues(std::size_t begin, const StepFunction& step, std::span<double> out) const;

  const DType dtype_;
  const FloatSumOptions options_;
  const FloatKernels& kernels_;

  Tensor start_;
  UpdateKind kind_ = UpdateKind::kDifference;
  int exponent_ = 0;  // of q
  bool is_wide_ = false;
  bool is_empty_ = true;  // nothing has been added, and what narrow_ holds is of an earlier round
  std::vector<std::int64_t> narrow_;
  std::vector<Int128> wide_;
  double bound_ = 0;  // no magnitude in narrow_ is above it
  double bound_before_stage_ = 0;
  Int128 divisor_units_ = 0;

  TensorRecycler memory_;  // for the new values
  Tensor last_;            // those of the last round
  std::uint64_t last_max_bits_ = 0;
};

}  // namespace fed_learn
