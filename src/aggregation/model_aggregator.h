// ModelAggregator: the weighted mean of the sites' updates, over those who sent a variable, added to the global model
// or taken as it; then a step of a server optimizer, if there is one.
//
//   new = old + Σ a·n·difference / Σ a·n      a: aggregation_weights of the site, n: its local iterations
//
// Not thread-safe.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "aggregation/accumulator.h"
#include "aggregation/server_optimizer.h"
#include "components/aggregator.h"

namespace fed_learn {

// A rule for the variables whose names a pattern is found in.
struct RoleRule {
  std::string text;  // the pattern as it was written
  std::regex pattern;
  Rule rule;
};

struct ModelAggregatorOptions {
  std::optional<std::regex> exclude;                               // variables that keep the global value
  std::vector<RoleRule> rules;                                     // instead of DefaultRule
  std::map<std::string, double, std::less<>> aggregation_weights;  // by site; 1 for the others
  bool normalize_by_n = false;                                     // divide by Σ n instead of Σ a·n
  UpdateKind expects = UpdateKind::kDifference;
  std::unique_ptr<ServerOptimizer> optimizer;  // null: the mean itself is the step
};

class ModelAggregator : public Aggregator {
 public:
  // From the arguments of a configuration, all optional; InvalidArgument naming the one that is wrong.
  //   exclude_vars         a regular expression, searched for in the names
  //   aggregation_weights  {site: number ≥ 0}
  //   normalize            "weighted" or "n"
  //   expects              "difference" or "weights"
  //   roles                {regular expression: "average", "keep", "maximum" or "exact"}
  //   optimizer            {"name": …, "args": {…}}; see MakeServerOptimizer
  static Result<std::unique_ptr<Aggregator>> Make(const Json& args);

  explicit ModelAggregator(ModelAggregatorOptions options) : options_(std::move(options)) {}

  // InvalidArgument besides what Accumulator::Begin says: two roles that match one name and disagree.
  Status Begin(int round, ModelData global) override;

  Status Accept(const Contribution& contribution) override;
  int count() const override { return sum_.count(); }

  // FailedPrecondition also, naming the tensor, if a value of the new model is not finite. is_best: the weighted mean
  // of "best_validation_metric" (of any group) over the round's sites is larger than in every round before.
  Result<AggregateResult> Finish() override;

  ModelData SaveState() const override;
  Status LoadState(const ModelData& state) override;

 private:
  struct Site {
    double weight;
    MetricManager metrics;
  };

  Result<std::vector<Rule>> RulesFor(const ModelData& model) const;
  Result<Weight> WeightOf(const Contribution& contribution);
  StepFunction StepOf(std::size_t tensor) const;
  MetricMap MeanMetrics() const;
  std::optional<double> MeanBestMetric() const;

  const ModelAggregatorOptions options_;
  Accumulator sum_;
  std::optional<int> round_;             // while one is open
  std::vector<bool> takes_steps_;        // by the tensors of the model
  std::map<std::string, Site> sites_;    // counted in this round, in an order that is not that of arrival
  std::map<std::string, int> warnings_;  // given per site about a missing weight
  double best_metric_ = -std::numeric_limits<double>::infinity();
};

}  // namespace fed_learn
