// ServerOptimizer: turns the mean difference of a round into the step that the global model takes (Reddi et al.,
// "Adaptive Federated Optimization", arXiv 2003.00295, algorithm 2). The mean difference is the direction of descent,
// so steps are added.
//
//   SGD         m = momentum·m + d                                                     step = lr·m
//   FedAdagrad  m = beta1·m + (1 − beta1)·d     v = v + d²                             step = lr·m / (√v + tau)
//   FedAdam     m = as above                    v = beta2·v + (1 − beta2)·d²           the same
//   FedYogi     m = as above                    v = v − (1 − beta2)·d²·sign(v − d²)    the same
//
// Only parameters that are averaged take steps; the caller sees to that. m and v are kept in f32 (f64 for f64
// parameters): they are smoothed over rounds, where a relative error of 6e-8 does not show, and take 8 bytes a
// parameter instead of 16. The arithmetic is in double.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/json.h"
#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

class ServerOptimizer {
 public:
  virtual ~ServerOptimizer() = default;

  // Learns the model that the next steps are for. FailedPrecondition if the state is that of another model.
  virtual Status Prepare(const ModelData& model) = 0;

  // Before the steps of a round, and of each tensor in it, which is named by its place in the model.
  virtual void BeginRound() = 0;
  virtual void BeginTensor(std::size_t tensor) = 0;

  // In place: the mean difference of the elements from `begin` on becomes the step. Once for each element of a tensor
  // in a round. REQUIRES: BeginTensor of this tensor.
  virtual void Step(std::size_t begin, std::span<double> difference) = 0;

  // What the next round needs, and its inverse; bit for bit. InvalidArgument naming the tensor that is not understood.
  virtual ModelData SaveState() const = 0;
  virtual Status LoadState(const ModelData& state) = 0;
};

// From {"name": …, "args": {…}}; null for "FedAvg", whose step is the mean difference itself. Arguments and defaults:
//   SGD         lr 1, momentum 0
//   FedAdagrad  lr 0.01, beta1 0, tau 0.001, v0 tau²
//   FedAdam     lr 0.01, beta1 0.9, beta2 0.99, tau 0.001, v0 tau² (0 with bias_correction), bias_correction false
//   FedYogi     as FedAdam
// Bias correction is Adam's: m / (1 − beta1^t) and v / (1 − beta2^t) in round t, counted from 1. FLamby's strategies
// are these with beta1 0.9, beta2 0.999, v0 0. InvalidArgument naming the argument that is unknown or out of range.
Result<std::unique_ptr<ServerOptimizer>> MakeServerOptimizer(const Json& spec);

}  // namespace fed_learn
