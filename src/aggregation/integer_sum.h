// IntegerSum: the weighted mean of integer tensors, rounded once to the nearest integer, ties to even.
//
// Sums local value − starting value, times the weight in units of 2^-40, in 128 bits: exact, so in any order. A
// difference that wrapped around the end of its type is read as the local value it was made from. A local value so far
// from the start that its product leaves 2^110 (it is all right up to a weight of 64 for any i64) is refused.
#pragma once

#include <vector>

#include "aggregation/tensor_sum.h"

namespace fed_learn {

class IntegerSum : public TensorSum {
 public:
  Status Begin(const Tensor& start, UpdateKind kind) override;
  Status Stage(const Tensor& update, const Weight& weight) override;
  void Commit(const Tensor& update, const Weight& weight) override;
  void Undo(const Tensor& update, const Weight& weight) override;
  Result<Tensor> Finish(const StepFunction& step) override;

 private:
  Tensor start_;
  UpdateKind kind_ = UpdateKind::kDifference;
  std::vector<Int128> sums_;
  Int128 divisor_units_ = 0;
};

}  // namespace fed_learn
