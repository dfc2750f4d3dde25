#include "trainers/tabular_experiment.h"

#include <utility>

#include "base/text.h"
#include "trainers/site_args.h"

namespace fed_learn {

Result<TabularExperiment> TabularExperiment::Load(const Json& args, const ComponentServices& services) {
  TabularExperiment experiment;
  experiment.sites_ = SitesOf(args);
  if (experiment.sites_.empty()) return InvalidArgument("args.sites names no site");
  for (const std::string& site : experiment.sites_) {
    ASSIGN_OR_RETURN(const Json site_json, ArgsOfSite(args, site));
    Args site_args(site_json);
    auto options = ReadTabularDataOptions(site_args);
    if (!options.has_value()) return options.error().In(site);
    auto task = ReadTabularTask(site_args);
    if (!task.has_value()) return task.error().In(site);
    if (const Status done = site_args.Done(); !done.has_value()) return done.error().In(site);
    auto data = LoadTabularData(*options, services);
    if (!data.has_value()) return data.error().In(site);
    if (!experiment.data_.empty() && data->features != experiment.data_.begin()->second.features) {
      return InvalidArgument(site + ": args.features are not those of the other sites");
    }
    experiment.task_ = *task;
    experiment.data_.emplace(site, *std::move(data));
  }
  return experiment;
}

Result<TabularRows> TabularExperiment::Gather(const std::vector<std::string>& sites,
                                              TabularRows TabularData::*part) const {
  std::vector<const TabularRows*> parts;
  for (const std::string& site : sites) {
    const auto found = data_.find(site);
    if (found == data_.end()) return NotFound("there is no site '" + Escaped(site) + "'" + DidYouMean(site, sites_));
    parts.push_back(&(found->second.*part));
  }
  if (parts.empty()) return InvalidArgument("no site was named");
  return Pooled(parts);
}

Result<ModelData> TabularExperiment::Train(const ModelData& start, const std::vector<std::string>& sites,
                                           const TabularTraining& training) const {
  ASSIGN_OR_RETURN(TabularModel model, TabularModel::From(start, task_.activation));
  ASSIGN_OR_RETURN(const TabularRows rows, Gather(sites, &TabularData::train));
  RETURN_IF_ERROR(CheckRows(task_, model, rows));
  TabularTask task = task_;
  if (training.optimizer.has_value()) task.optimizer = *training.optimizer;
  const TabularSchedule schedule{.seed = training.seed, .first_step = 0, .steps = training.steps};
  RETURN_IF_ERROR(TrainTabular(task, schedule, rows, model, AbortSignal(), nullptr));
  return model.ToModelData();
}

Result<MetricGroup> TabularExperiment::Evaluate(const ModelData& model_data,
                                                const std::vector<std::string>& sites) const {
  ASSIGN_OR_RETURN(const TabularModel model, TabularModel::From(model_data, task_.activation));
  ASSIGN_OR_RETURN(const TabularRows rows, Gather(sites, &TabularData::validation));
  RETURN_IF_ERROR(CheckRows(task_, model, rows));
  return EvaluateTabular(task_, rows, model);
}

}  // namespace fed_learn
