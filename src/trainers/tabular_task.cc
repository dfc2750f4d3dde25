#include "trainers/tabular_task.h"

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainers/batch_stream.h"
#include "trainers/c_index.h"

namespace fed_learn {
namespace {

void Gather(const TabularRows& rows, std::span<const std::size_t> wanted, TabularRows& out) {
  const auto count = static_cast<Eigen::Index>(wanted.size());
  out.inputs.resize(count, rows.inputs.cols());
  out.targets.resize(count, rows.targets.cols());
  for (Eigen::Index i = 0; i < count; ++i) {
    const auto row = static_cast<Eigen::Index>(wanted[static_cast<std::size_t>(i)]);
    out.inputs.row(i) = rows.inputs.row(row);
    out.targets.row(i) = rows.targets.row(row);
  }
}

std::vector<double> Column(const Matrix& matrix, Eigen::Index column) {
  const Vector values = matrix.col(column);
  return {values.begin(), values.end()};
}

}  // namespace

Result<TabularTask> ReadTabularTask(Args& args) {
  TabularTask task;
  const std::string loss = args.String("loss", "");
  if (loss.empty()) return InvalidArgument("args.loss is missing; it is logistic, softmax, squared or cox");
  ASSIGN_OR_RETURN(task.loss, LossFromString(loss));
  ASSIGN_OR_RETURN(task.activation, ActivationFromString(args.String("activation", "relu")));
  ASSIGN_OR_RETURN(task.optimizer, ParseOptimizerOptions(args.Value("optimizer")));
  const std::int64_t batch_size = args.Int("batch_size", 32);
  if (batch_size < 1) return InvalidArgument("args.batch_size must be 1 or more, not " + std::to_string(batch_size));
  task.batch_size = static_cast<std::size_t>(batch_size);
  return task;
}

Status CheckRows(const TabularTask& task, const TabularModel& model, const TabularRows& rows) {
  if (static_cast<std::size_t>(rows.inputs.cols()) != model.inputs()) {
    return InvalidArgument("the model takes " + std::to_string(model.inputs()) + " features, but the data has " +
                           std::to_string(rows.inputs.cols()) + "; make 'inputs' of the model or 'features' fit");
  }
  RETURN_IF_ERROR(CheckTargetColumns(task.loss, model.outputs(), static_cast<std::size_t>(rows.targets.cols())));
  for (Eigen::Index row = 0; row < rows.targets.rows(); ++row) {
    const Status status = CheckTargetValues(task.loss, model.outputs(), rows.targets.row(row));
    if (!status.has_value()) return status.error().In("used row " + std::to_string(row + 1));
  }
  return {};
}

Result<double> TrainTabular(const TabularTask& task, const TabularSchedule& schedule, const TabularRows& rows,
                            TabularModel& model, const AbortSignal& abort,
                            const std::function<void(std::uint64_t)>& on_step) {
  BatchStream batches(static_cast<std::size_t>(rows.inputs.rows()), task.batch_size, schedule.seed,
                      schedule.first_step);
  const auto optimizer = MakeOptimizer(task.optimizer);
  TabularRows batch;
  double loss_sum = 0;
  for (std::uint64_t step = 0; step < schedule.steps; ++step) {
    if (abort.IsSet()) {
      return Cancelled("training was stopped after " + std::to_string(step) + " of " + std::to_string(schedule.steps) +
                       " steps");
    }
    Gather(rows, batches.Next(), batch);
    const TabularModel::Trace trace = model.ForwardTraced(batch.inputs);
    const LossValue loss = EvaluateLoss(task.loss, trace.outputs, batch.targets);
    optimizer->Step(model.parameters(), model.Backward(trace, loss.gradient));
    loss_sum += loss.mean;
    if (!std::isfinite(loss.mean) || !model.parameters().allFinite()) {
      return InvalidArgument("training left the finite numbers at step " + std::to_string(step + 1) + " of " +
                             std::to_string(schedule.steps) + "; choose a smaller optimizer.args.lr than " +
                             Json(task.optimizer.learning_rate).dump());
    }
    if (on_step) on_step(step + 1);
  }
  return schedule.steps == 0 ? 0 : loss_sum / static_cast<double>(schedule.steps);
}

MetricGroup EvaluateTabular(const TabularTask& task, const TabularRows& rows, const TabularModel& model) {
  if (rows.inputs.rows() == 0) return {};
  const Matrix outputs = model.Forward(rows.inputs);
  MetricGroup metrics{{"loss", EvaluateLoss(task.loss, outputs, rows.targets).mean}};
  if (task.loss == Loss::kLogistic || task.loss == Loss::kSoftmax) {
    metrics["accuracy"] = Accuracy(task.loss, outputs, rows.targets);
  }
  if (task.loss == Loss::kCox) {
    const auto index = ConcordanceIndex(Column(rows.targets, 1), Column(rows.targets, 0), Column(outputs, 0));
    if (index.has_value()) metrics["c_index"] = *index;
  }
  return metrics;
}

}  // namespace fed_learn
