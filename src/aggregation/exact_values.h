// ExactValues: a tensor that must come back as it was; a site that sends other values is refused. For parts of a model
// that are frozen, where a change means that a site trains something else than was agreed.
#pragma once

#include "aggregation/tensor_sum.h"

namespace fed_learn {

class ExactValues : public TensorSum {
 public:
  Status Begin(const Tensor& start, UpdateKind kind) override;
  Status Stage(const Tensor& update, const Weight& weight) override;
  void Commit(const Tensor& update, const Weight& weight) override;
  void Undo(const Tensor& update, const Weight& weight) override;
  Result<Tensor> Finish(const StepFunction& step) override;

 private:
  Tensor start_;
  UpdateKind kind_ = UpdateKind::kDifference;
};

}  // namespace fed_learn
