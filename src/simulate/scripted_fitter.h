// ScriptedFitter: a trainer whose result is a formula, so that a checker can say what a sum must be.
#pragma once

#include <string>

#include "components/fitter.h"

namespace fed_learn {

// What the site contributes when it trains `global` in `round`: small numbers drawn from all of these and nothing else.
Contribution ScriptedContribution(const std::string& site, int round, std::uint64_t seed, const ModelData& global);

class ScriptedFitter : public Fitter {
 public:
  Status Initialize(const AppContext&) override { return {}; }
  Result<FitResult> Fit(const ModelData& global, const AppContext& app_ctx,
                        const std::function<void(const FitProgress&)>& on_progress) override;
  Result<MetricManager> Validate(const ModelData&, const AppContext&) override { return MetricManager(); }
};

}  // namespace fed_learn
