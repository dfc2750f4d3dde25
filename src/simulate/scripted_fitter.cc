#include "simulate/scripted_fitter.h"

#include "base/hash.h"
#include "base/random.h"

namespace fed_learn {

Contribution ScriptedContribution(const std::string& site, int round, std::uint64_t seed, const ModelData& global) {
  Random random(DeriveSeed(seed, site, static_cast<std::uint64_t>(round)));
  Contribution contribution{.round = round, .site = site};
  contribution.n_iter = 1 + static_cast<double>(random.Below(50));
  for (const NamedTensor& entry : global) {
    Tensor update = Tensor::Allocate(entry.tensor.dtype(), entry.tensor.shape());
    // The starting values go in as well, so that an update of another model is another update.
    const double origin = static_cast<double>(HashContent(entry.tensor.bytes()).bytes[0]) / 256;
    for (float& value : update.mutable_values<float>()) value = static_cast<float>(random.Uniform() - origin);
    if (random.Chance(0.2)) update = Tensor::Zeros(entry.tensor.dtype(), entry.tensor.shape());
    static_cast<void>(contribution.update.Add(entry.name, std::move(update), entry.role));
  }
  return contribution;
}

Result<FitResult> ScriptedFitter::Fit(const ModelData& global, const AppContext& app_ctx,
                                      const std::function<void(const FitProgress&)>& on_progress) {
  if (app_ctx.abort.IsSet()) return Cancelled("aborted");
  auto contribution = ScriptedContribution(app_ctx.client_name, app_ctx.current_round, app_ctx.seed, global);
  on_progress({1, "done"});
  FitResult result;
  result.update = std::move(contribution.update);
  result.n_iter = contribution.n_iter;
  RETURN_IF_ERROR(result.metrics.AddGroup("train", {{"loss", 1.0 / (1 + app_ctx.current_round)}}));
  return result;
}

}  // namespace fed_learn
