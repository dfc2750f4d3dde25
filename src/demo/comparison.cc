#include "demo/comparison.h"

#include "trainers/tabular_experiment.h"

namespace fed_learn {
namespace {

Result<double> Score(const TabularExperiment& experiment, const ModelData& model, const std::vector<std::string>& sites,
                     const std::string& metric) {
  ASSIGN_OR_RETURN(const MetricGroup metrics, experiment.Evaluate(model, sites));
  const auto found = metrics.find(metric);
  if (found == metrics.end()) return NotFound("the app's trainer has no metric '" + metric + "'");
  return found->second;
}

}  // namespace

Result<Comparison> Compare(const ModelData& start, const ModelData& federated, const ComparisonOptions& options,
                           const ComponentServices& services) {
  ASSIGN_OR_RETURN(const auto experiment, TabularExperiment::Load(options.trainer_args, services));
  const std::vector<std::string>& all = experiment.sites();
  ASSIGN_OR_RETURN(const OptimizerOptions optimizer, ParseOptimizerOptions(options.optimizer));
  const TabularTraining training{.steps = options.steps, .seed = options.seed, .optimizer = optimizer};

  Comparison comparison{.metric = options.metric};
  ASSIGN_OR_RETURN(comparison.federated, Score(experiment, federated, all, options.metric));
  for (const std::string& site : all) {
    ASSIGN_OR_RETURN(comparison.federated_by_site[site], Score(experiment, federated, {site}, options.metric));
    ASSIGN_OR_RETURN(const ModelData alone, experiment.Train(start, {site}, training));
    ASSIGN_OR_RETURN(comparison.each_site_alone[site], Score(experiment, alone, all, options.metric));
  }
  ASSIGN_OR_RETURN(const ModelData pooled, experiment.Train(start, all, training));
  ASSIGN_OR_RETURN(comparison.pooled_training, Score(experiment, pooled, all, options.metric));
  return comparison;
}

}  // namespace fed_learn
