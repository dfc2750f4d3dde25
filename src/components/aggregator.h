// Aggregator: turns the contributions of a round into the next global model, one at a time, so that memory does not
// grow with the number of sites.
//
// Not thread-safe: the run owns it and feeds it from one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "model/app_context.h"
#include "model/contribution.h"
#include "model/model_data.h"

namespace fed_learn {

struct AggregateResult {
  ModelData model;          // the next global model
  bool is_best = false;     // by the sites' best_validation_metric, if they sent any
  MetricManager metrics;    // weighted means of the sites' metrics
};

class Aggregator {
 public:
  virtual ~Aggregator() = default;

  // Opens a round on the model it starts from. Forgets a round that was not finished.
  virtual Status Begin(int round, ModelData global) = 0;

  // Adds a whole contribution, or nothing of it.
  //   InvalidArgument, naming the tensor: a name the global model lacks, another dtype or shape, NaN or infinity,
  //                   the other update kind than expected (both named), a weight that is not finite and ≥ 0
  //   AlreadyExists:  this site has been counted in this round
  //   FailedPrecondition: another round than the open one
  virtual Status Accept(const Contribution& contribution) = 0;

  virtual int count() const = 0;  // contributions in the sum

  // Closes the round. FailedPrecondition without an accepted contribution.
  virtual Result<AggregateResult> Finish() = 0;

  // What the next round needs besides the model (momentum, second moments), and its inverse after a restart. An empty
  // ModelData if there is none; names are private to the aggregator.
  virtual ModelData SaveState() const = 0;
  virtual Status LoadState(const ModelData& state) = 0;
};

}  // namespace fed_learn
