#include "trainers/tabular_fitter.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/random.h"
#include "trainers/site_args.h"

namespace fed_learn {
namespace {

// Rounds are equally long, so that each can find its place in the stream of batches without knowing the others.
TabularSchedule ScheduleOf(const TabularTask& task, const TabularData& data, const AppContext& app_ctx) {
  const auto rows = static_cast<std::uint64_t>(data.train.inputs.rows());
  const std::uint64_t batches_per_epoch = (rows + task.batch_size - 1) / task.batch_size;
  TabularSchedule schedule;
  schedule.seed = DeriveSeed(app_ctx.seed, app_ctx.client_name);
  schedule.steps = app_ctx.steps_aggregation > 0
                       ? static_cast<std::uint64_t>(app_ctx.steps_aggregation)
                       : static_cast<std::uint64_t>(std::max(app_ctx.local_epochs, 1)) * batches_per_epoch;
  schedule.first_step = static_cast<std::uint64_t>(std::max(app_ctx.current_round, 0)) * schedule.steps;
  return schedule;
}

Error NotInitialized() { return FailedPrecondition("TabularFitter has no data yet; call Initialize first"); }

}  // namespace

Status TabularFitter::Initialize(const AppContext& app_ctx) {
  ASSIGN_OR_RETURN(const Json site_args, ArgsOfSite(args_, app_ctx.client_name));
  Args args(site_args);
  ASSIGN_OR_RETURN(const TabularDataOptions options, ReadTabularDataOptions(args));
  ASSIGN_OR_RETURN(task_, ReadTabularTask(args));
  RETURN_IF_ERROR(args.Done());
  ASSIGN_OR_RETURN(data_, LoadTabularData(options, services_));
  return {};
}

Result<FitResult> TabularFitter::Fit(const ModelData& global, const AppContext& app_ctx,
                                     const std::function<void(const FitProgress&)>& on_progress) {
  if (!data_.has_value()) return NotInitialized();
  ASSIGN_OR_RETURN(const TabularModel start, TabularModel::From(global, task_.activation));
  RETURN_IF_ERROR(CheckRows(task_, start, data_->train));
  const TabularSchedule schedule = ScheduleOf(task_, *data_, app_ctx);
  const auto on_step = [&](std::uint64_t done) {
    if (!on_progress) return;
    on_progress({.done = static_cast<double>(done) / static_cast<double>(schedule.steps),
                 .note = "step " + std::to_string(done) + " of " + std::to_string(schedule.steps)});
  };
  TabularModel model = start;
  ASSIGN_OR_RETURN(const double loss, TrainTabular(task_, schedule, data_->train, model, app_ctx.abort, on_step));
  FitResult result;
  result.update = model.DifferenceFrom(start);
  result.kind = UpdateKind::kDifference;
  result.n_iter = static_cast<double>(schedule.steps);
  RETURN_IF_ERROR(result.metrics.AddGroup("train", {{"loss", loss}}));
  return result;
}

Result<MetricManager> TabularFitter::Validate(const ModelData& model_data, const AppContext& app_ctx) {
  if (!data_.has_value()) return NotInitialized();
  if (app_ctx.abort.IsSet()) return Cancelled("validation was stopped");
  ASSIGN_OR_RETURN(const TabularModel model, TabularModel::From(model_data, task_.activation));
  RETURN_IF_ERROR(CheckRows(task_, model, data_->validation));
  MetricManager metrics;
  if (data_->validation.inputs.rows() == 0) return metrics;
  RETURN_IF_ERROR(metrics.AddGroup("validation", EvaluateTabular(task_, data_->validation, model)));
  return metrics;
}

}  // namespace fed_learn
