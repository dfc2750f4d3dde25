// Contribution: one site's part in one round; the one type from the link to the sum.
#pragma once

#include <cstdint>
#include <string>

#include "model/metric_manager.h"
#include "model/model_data.h"

namespace fed_learn {

enum class UpdateKind { kDifference, kWeights };  // local − global, or the local values themselves

struct Contribution {
  std::int64_t run = 1;
  int round = 0;
  std::string site;
  double n_iter = 1;  // local iterations: the weight, before aggregation_weights
  UpdateKind kind = UpdateKind::kDifference;
  MetricManager metrics;
  ModelData update;
};

}  // namespace fed_learn
