// TabularExperiment: what a federation is compared with. It has the rows of all sites in one place, which a federation
// never has: one region training alone, all regions pooled, and any model on any regions' validation rows.
//
// Not thread-safe while it trains; one model, seed and number of steps give the same bits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "components/registry.h"
#include "model/metric_manager.h"
#include "model/model_data.h"
#include "trainers/tabular_data.h"
#include "trainers/tabular_task.h"

namespace fed_learn {

struct TabularTraining {
  std::uint64_t steps = 0;
  std::uint64_t seed = 0;                     // of the batches
  std::optional<OptimizerOptions> optimizer;  // instead of the one in the arguments
};

class TabularExperiment {
 public:
  // `args`: the arguments of a TabularFitter with "sites"; loss, optimizer and batch size must be the same for all.
  // InvalidArgument without sites, or for sites with different features; otherwise as TabularFitter::Initialize, with
  // the site's name.
  static Result<TabularExperiment> Load(const Json& args, const ComponentServices& services);

  const std::vector<std::string>& sites() const { return sites_; }  // sorted

  // Trains `start` on the training rows of these sites, pooled. Errors as TabularFitter::Fit; NotFound for a site that
  // is not among sites().
  Result<ModelData> Train(const ModelData& start, const std::vector<std::string>& sites,
                          const TabularTraining& training) const;

  // Metrics of a model (EvaluateTabular) on the validation rows of these sites, pooled. Errors as Train.
  Result<MetricGroup> Evaluate(const ModelData& model, const std::vector<std::string>& sites) const;

 private:
  Result<TabularRows> Gather(const std::vector<std::string>& sites, TabularRows TabularData::*part) const;

  TabularTask task_;
  std::vector<std::string> sites_;
  std::map<std::string, TabularData, std::less<>> data_;
};

}  // namespace fed_learn
