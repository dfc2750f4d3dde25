// Optimizer: from a gradient to a step. SGD and Adam, with the definitions of torch.optim.
//
// Not thread-safe. A fresh one is made for every round: its state never leaves the site.
#pragma once

#include <memory>

#include "base/json.h"
#include "base/result.h"
#include "trainers/matrix.h"

namespace fed_learn {

struct OptimizerOptions {
  enum class Kind { kSgd, kAdam };
  Kind kind = Kind::kSgd;
  double learning_rate = 0.01;
  double weight_decay = 0;  // added to the gradient as weight_decay × parameter
  double momentum = 0;      // SGD
  double beta1 = 0.9;       // Adam
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

// {"name": "SGD", "args": {"lr": 0.01, "momentum": 0, "weight_decay": 0}}
// {"name": "Adam", "args": {"lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0}}
// The values shown are the defaults; null is SGD with them. InvalidArgument, naming the key, for another name or key,
// or a value out of its range.
Result<OptimizerOptions> ParseOptimizerOptions(const Json& json);

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Moves `parameters` one step against `gradient`. REQUIRES: the same size at every call.
  virtual void Step(Vector& parameters, const Vector& gradient) = 0;
};

std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerOptions& options);

}  // namespace fed_learn
