// TensorSum: what the contributions of a round do to one tensor of the model.
//
// A contribution is staged in all its tensors, and only then committed in all of them; a Stage that fails anywhere is
// taken back everywhere. So a contribution counts whole or not at all.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "aggregation/kernels.h"
#include "base/result.h"
#include "model/contribution.h"
#include "model/tensor.h"

namespace fed_learn {

// A weight as a multiple of 2^-40, so that sums of weights are exact.
struct FixedWeight {
  static constexpr int kExponent = -40;

  // The nearest such multiple, ties to even. InvalidArgument for a weight that is not finite, negative, or above 2^60.
  static Result<FixedWeight> From(double weight);

  double value() const;  // exact

  Int128 units = 0;
};

// How much a contribution counts: the new value is start + Σ addend·difference / Σ divisor.
struct Weight {
  FixedWeight addend;
  FixedWeight divisor;
};

// Turns the mean difference of the elements from `begin` on into what is added to them, in place.
using StepFunction = std::function<void(std::size_t begin, std::span<double> difference)>;

class TensorSum {
 public:
  virtual ~TensorSum() = default;

  // Opens a round; keeps a reference to `start` until Finish. InvalidArgument for values it cannot start from.
  virtual Status Begin(const Tensor& start, UpdateKind kind) = 0;

  // Verifies the values, and may add them already. Leaves no trace if it fails.
  //   InvalidArgument: a value that is not finite, or too large for the sum; its index is named
  // REQUIRES: dtype and shape of the start.
  virtual Status Stage(const Tensor& update, const Weight& weight) = 0;

  // One of these follows a successful Stage, with the same arguments: Commit counts the values, Undo takes them back.
  virtual void Commit(const Tensor& update, const Weight& weight) = 0;
  virtual void Undo(const Tensor& update, const Weight& weight) = 0;

  // The new values; the start's if nobody with a weight sent any. `step` may be empty: then the mean difference itself
  // is added. FailedPrecondition naming the element, if a new value is not finite. Closes the round.
  virtual Result<Tensor> Finish(const StepFunction& step) = 0;
};

}  // namespace fed_learn
