// TabularTask: everything about training on a table but the rows and the model: loss, optimizer, batches, and how they
// are applied. TabularFitter and TabularExperiment share it. A value; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "components/registry.h"
#include "model/app_context.h"
#include "model/metric_manager.h"
#include "trainers/loss.h"
#include "trainers/optimizer.h"
#include "trainers/tabular_data.h"
#include "trainers/tabular_model.h"

namespace fed_learn {

struct TabularTask {
  Loss loss = Loss::kSquared;
  Activation activation = Activation::kRelu;  // between the layers of a model that has hidden ones
  OptimizerOptions optimizer;
  std::size_t batch_size = 32;
};

// Reads "loss" (needed), "activation", "optimizer" (ParseOptimizerOptions), "batch_size". InvalidArgument, naming the
// argument; what is wrong with a type is said by args.Done().
Result<TabularTask> ReadTabularTask(Args& args);

// InvalidArgument if the model does not take these rows (named by `features`), or the loss not these targets.
Status CheckRows(const TabularTask& task, const TabularModel& model, const TabularRows& rows);

struct TabularSchedule {
  std::uint64_t seed = 0;        // of the batches
  std::uint64_t first_step = 0;  // how far into the stream of batches to begin
  std::uint64_t steps = 0;
};

// Trains `model` in place and returns the mean loss of the batches, each before its step (0 without steps).
// `on_step` (may be null) is told how many steps are done. Cancelled soon after `abort` is set; InvalidArgument, with
// the step and the learning rate, once a loss or a parameter is no longer finite.
// REQUIRES: rows that CheckRows accepts, at least one.
Result<double> TrainTabular(const TabularTask& task, const TabularSchedule& schedule, const TabularRows& rows,
                            TabularModel& model, const AbortSignal& abort,
                            const std::function<void(std::uint64_t)>& on_step);

// "loss", and "accuracy" (logistic, softmax) or "c_index" (Cox; left out if no pair of rows can be compared). Empty for
// no rows. REQUIRES: rows that CheckRows accepts.
MetricGroup EvaluateTabular(const TabularTask& task, const TabularRows& rows, const TabularModel& model);

}  // namespace fed_learn
