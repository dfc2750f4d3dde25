// Maximum: the largest value that a site with a weight sent, element by element: counters, and what is given that rule.
//
// Integers: the largest local value, whether the sites send values or differences. Floats: the largest value sent; in
// the case of differences it is added to the start. -0 counts as less than +0, so the order does not matter.
#pragma once

#include <cstdint>
#include <vector>

#include "aggregation/tensor_sum.h"

namespace fed_learn {

class Maximum : public TensorSum {
 public:
  Status Begin(const Tensor& start, UpdateKind kind) override;
  Status Stage(const Tensor& update, const Weight& weight) override;
  void Commit(const Tensor& update, const Weight& weight) override;
  void Undo(const Tensor& update, const Weight& weight) override;
  Result<Tensor> Finish(const StepFunction& step) override;

 private:
  Tensor start_;
  UpdateKind kind_ = UpdateKind::kDifference;
  std::vector<std::int64_t> keys_;  // order as the values do
  bool was_sent_ = false;
};

}  // namespace fed_learn
