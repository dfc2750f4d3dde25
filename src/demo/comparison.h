// Comparison: what the federated model is worth, beside each region alone and all rows in one place.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "components/registry.h"
#include "model/model_data.h"

namespace fed_learn {

// Scores on the pooled validation rows of all sites, and of the federated model on each site's own.
struct Comparison {
  std::string metric;  // "c_index"
  double federated = 0;
  std::map<std::string, double> federated_by_site;
  std::map<std::string, double> each_site_alone;
  double pooled_training = 0;
};

struct ComparisonOptions {
  std::string metric = "c_index";
  Json trainer_args;          // of the app's TabularFitter
  std::uint64_t steps = 500;  // of a site alone and of pooled training, as the published table has them
  Json optimizer;             // of those: {"name": …, "args": {…}}
  std::uint64_t seed = 0;
};

// `start`: the untrained model. Reads all sites' data, which is why it is part of a demo and of nothing else.
Result<Comparison> Compare(const ModelData& start, const ModelData& federated, const ComparisonOptions& options,
                           const ComponentServices& services);

}  // namespace fed_learn
