// Fitter: what trains at a site (Clara's word). Given the global model, it returns what this site contributes.
//
// A fitter keeps no state from round to round that a restart would lose: the same model, round and seed give the same
// bits, so a site that was killed in mid-round does the round again and nobody can tell.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "model/app_context.h"
#include "model/contribution.h"
#include "model/metric_manager.h"
#include "model/model_data.h"

namespace fed_learn {

struct FitResult {
  ModelData update;   // tensors of the global model, same names, dtypes and shapes; may leave some out
  UpdateKind kind = UpdateKind::kDifference;
  double n_iter = 1;  // optimizer steps done this round
  MetricManager metrics;  // e.g. {"train": {"loss": …}, "validation": {"c_index": …}}
};

// For people: "step 40 of 100". Called from the fitter's thread.
struct FitProgress {
  double done = 0;   // 0…1
  std::string note;  // one line
};

class Fitter {
 public:
  virtual ~Fitter() = default;

  // Opens data, starts programs. Once, before the first Fit.
  virtual Status Initialize(const AppContext& app_ctx) = 0;

  // One round of local training; blocks, on a thread of its own. `global` stays as it is.
  // Cancelled soon after app_ctx.abort is set. One call at a time.
  virtual Result<FitResult> Fit(const ModelData& global, const AppContext& app_ctx,
                                const std::function<void(const FitProgress&)>& on_progress) = 0;

  // Metrics of a model on this site's validation data, without training.
  virtual Result<MetricManager> Validate(const ModelData& model, const AppContext& app_ctx) = 0;

  virtual void Close() {}
};

}  // namespace fed_learn
