// TabularFitter: the built-in trainer, for tables. The tensors of the global model say what it trains (TabularModel).
//
// Arguments: those of TabularData and TabularTask, and
//   "sites": {"region_0": {"split": {"train": "train_0"}}, …}   what differs by site, for sites that share one folder
// Local training starts with a fresh optimizer each round. Batches go on where the round before ended (BatchStream), so
// that no row is seen more often than others. One model, round and seed give the same bits in one build on one machine.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/json.h"
#include "base/result.h"
#include "components/fitter.h"
#include "components/registry.h"
#include "trainers/tabular_data.h"
#include "trainers/tabular_task.h"

namespace fed_learn {

class TabularFitter : public Fitter {
 public:
  // Reads nothing yet; `services.disk` outlives the fitter.
  TabularFitter(Json args, ComponentServices services) : args_(std::move(args)), services_(std::move(services)) {}

  // Reads the arguments of app_ctx.client_name and the files.
  Status Initialize(const AppContext& app_ctx) override;

  // Trains app_ctx.steps_aggregation steps if that is more than 0, else app_ctx.local_epochs epochs (at least one).
  // Returns a difference and {"train": {"loss": …}}: the mean over the batches.
  // FailedPrecondition before Initialize; otherwise as TabularModel::From, CheckRows and TrainTabular.
  Result<FitResult> Fit(const ModelData& global, const AppContext& app_ctx,
                        const std::function<void(const FitProgress&)>& on_progress) override;

  // {"validation": …} of EvaluateTabular; no group without validation rows.
  Result<MetricManager> Validate(const ModelData& model, const AppContext& app_ctx) override;

  void Close() override { data_.reset(); }

 private:
  Json args_;
  ComponentServices services_;
  TabularTask task_;
  std::optional<TabularData> data_;
};

}  // namespace fed_learn
