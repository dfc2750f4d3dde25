#include "aggregation/model_aggregator.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "components/registry.h"

namespace fed_learn {
namespace {

constexpr std::string_view kBestMetric = "best_validation_metric";
constexpr std::string_view kOptimizerPrefix = "optimizer/";
constexpr int kWarningsMax = 10;

std::string_view ToString(UpdateKind kind) { return kind == UpdateKind::kDifference ? "differences" : "weights"; }

std::string Quoted(std::string_view site) { return fmt::format("site '{}'", Escaped(site)); }

Result<std::regex> ParseRegex(const std::string& text, std::string_view where) {
  try {
    return std::regex(text, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    return InvalidArgument(fmt::format("{}: '{}' is not a regular expression: {}", where, Escaped(text), error.what()));
  }
}

// std::regex gives up on a name that its pattern backtracks over for too long.
Result<bool> Matches(const std::regex& pattern, const std::string& name) {
  try {
    return std::regex_search(name, pattern);
  } catch (const std::regex_error& error) {
    return InvalidArgument(fmt::format("cannot be matched: {}", error.what()));
  }
}

Status ReadWeights(Args& args, ModelAggregatorOptions& options) {
  const Json weights = args.Value("aggregation_weights");
  if (weights.is_null()) return {};
  if (!weights.is_object()) return InvalidArgument("args.aggregation_weights must be {site: number}");
  for (const auto& [site, weight] : weights.items()) {
    if (!weight.is_number() || !std::isfinite(weight.get<double>()) || weight.get<double>() < 0) {
      return InvalidArgument(
          fmt::format("args.aggregation_weights: the weight of '{}' must be a finite number that is "
                      "not negative",
                      Escaped(site)));
    }
    options.aggregation_weights[site] = weight.get<double>();
  }
  return {};
}

Status ReadRoles(Args& args, ModelAggregatorOptions& options) {
  const Json roles = args.Value("roles");
  if (roles.is_null()) return {};
  if (!roles.is_object()) return InvalidArgument("args.roles must be {regular expression: rule}");
  for (const auto& [text, name] : roles.items()) {
    if (!name.is_string()) return InvalidArgument(fmt::format("args.roles: the rule of '{}' must be a string", text));
    const auto rule = RuleFromString(name.get_ref<const std::string&>());
    if (!rule.has_value()) return rule.error().In("args.roles");
    ASSIGN_OR_RETURN(std::regex pattern, ParseRegex(text, "args.roles"));
    options.rules.push_back({text, std::move(pattern), *rule});
  }
  return {};
}

// True for the second of two words, false for the first.
bool ReadChoice(Args& args, std::string_view name, std::string_view first, std::string_view second) {
  const std::string value = args.String(name, std::string(first));
  if (value != first && value != second) args.Fail(name, fmt::format("\"{}\" or \"{}\"", first, second));
  return value == second;
}

struct WeightedMean {
  double sum = 0;
  double weight = 0;

  void Add(double value, double value_weight) {
    if (!std::isfinite(value)) return;
    sum += value * value_weight;
    weight += value_weight;
  }
  double value() const { return sum / weight; }
};

}  // namespace

Result<std::unique_ptr<Aggregator>> ModelAggregator::Make(const Json& json) {
  Args args(json);
  ModelAggregatorOptions options;
  if (const std::string text = args.String("exclude_vars", ""); !text.empty()) {
    ASSIGN_OR_RETURN(options.exclude, ParseRegex(text, "args.exclude_vars"));
  }
  RETURN_IF_ERROR(ReadWeights(args, options));
  RETURN_IF_ERROR(ReadRoles(args, options));
  options.normalize_by_n = ReadChoice(args, "normalize", "weighted", "n");
  options.expects =
      ReadChoice(args, "expects", "difference", "weights") ? UpdateKind::kWeights : UpdateKind::kDifference;
  if (const Json optimizer = args.Value("optimizer"); !optimizer.is_null()) {
    ASSIGN_OR_RETURN(options.optimizer, MakeServerOptimizer(optimizer));
  }
  RETURN_IF_ERROR(args.Done());
  if (options.normalize_by_n && options.expects == UpdateKind::kWeights) {
    return InvalidArgument(
        "args.normalize \"n\" scales a difference, which \"expects\": \"weights\" has none of; use \"weighted\"");
  }
  return std::make_unique<ModelAggregator>(std::move(options));
}

Result<std::vector<Rule>> ModelAggregator::RulesFor(const ModelData& model) const {
  std::vector<Rule> rules;
  for (const NamedTensor& tensor : model) {
    const std::string where = fmt::format("tensor '{}'", Escaped(tensor.name));
    Rule rule = DefaultRule(tensor);
    const RoleRule* decided_by = nullptr;
    for (const RoleRule& role : options_.rules) {
      const auto matches = Matches(role.pattern, tensor.name);
      if (!matches.has_value()) return matches.error().In(where);
      if (!*matches) continue;
      if (decided_by != nullptr && decided_by->rule != role.rule) {
        return InvalidArgument(fmt::format("{}: args.roles '{}' and '{}' both match it, with different rules", where,
                                           Escaped(decided_by->text), Escaped(role.text)));
      }
      decided_by = &role;
      rule = role.rule;
    }
    if (options_.exclude.has_value()) {
      const auto is_excluded = Matches(*options_.exclude, tensor.name);
      if (!is_excluded.has_value()) return is_excluded.error().In(where);
      if (*is_excluded) rule = Rule::kKeep;
    }
    rules.push_back(rule);
  }
  return rules;
}

Status ModelAggregator::Begin(int round, ModelData global) {
  round_.reset();
  sites_.clear();
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, RulesFor(global));
  takes_steps_.clear();
  for (std::size_t i = 0; i < global.size(); ++i) {
    const bool is_parameter = global[i].role == Role::kParameter && IsFloat(global[i].tensor.dtype());
    takes_steps_.push_back(options_.optimizer != nullptr && is_parameter && rules[i] == Rule::kAverage);
  }
  if (options_.optimizer != nullptr) RETURN_IF_ERROR(options_.optimizer->Prepare(global));
  RETURN_IF_ERROR(sum_.Begin(std::move(global), rules, options_.expects));
  round_ = round;
  return {};
}

Result<Weight> ModelAggregator::WeightOf(const Contribution& contribution) {
  double site_weight = 1;
  if (const auto found = options_.aggregation_weights.find(contribution.site);
      found != options_.aggregation_weights.end()) {
    site_weight = found->second;
  } else if (!options_.aggregation_weights.empty() && warnings_[contribution.site]++ < kWarningsMax) {
    LogWarning("{} is not in aggregation_weights; it counts with 1", Quoted(contribution.site));
  }
  ASSIGN_OR_RETURN(const FixedWeight n, FixedWeight::From(contribution.n_iter));
  ASSIGN_OR_RETURN(const FixedWeight product, FixedWeight::From(site_weight * contribution.n_iter));
  return Weight{.addend = product, .divisor = options_.normalize_by_n ? n : product};
}

Status ModelAggregator::Accept(const Contribution& contribution) {
  const std::string who = Quoted(contribution.site);
  if (!round_.has_value()) return FailedPrecondition(who + ": no round is open");
  if (contribution.round != *round_) {
    return FailedPrecondition(
        fmt::format("{}: its update is of round {}, but round {} is open", who, contribution.round, *round_));
  }
  if (sites_.contains(contribution.site)) {
    return AlreadyExists(fmt::format("{} has been counted in round {}", who, *round_));
  }
  if (contribution.kind != options_.expects) {
    return InvalidArgument(fmt::format("{} sent {}, but the aggregator expects {}", who, ToString(contribution.kind),
                                       ToString(options_.expects)));
  }
  const auto weight = WeightOf(contribution);
  if (!weight.has_value()) return weight.error().In(who);
  if (auto added = sum_.Add(contribution.update, *weight); !added.has_value()) return added.error().In(who);
  sites_.emplace(contribution.site, Site{weight->addend.value(), contribution.metrics});
  return {};
}

StepFunction ModelAggregator::StepOf(std::size_t tensor) const {
  if (!takes_steps_[tensor]) return {};
  ServerOptimizer& optimizer = *options_.optimizer;
  optimizer.BeginTensor(tensor);
  return [&optimizer](std::size_t begin, std::span<double> difference) { optimizer.Step(begin, difference); };
}

Result<AggregateResult> ModelAggregator::Finish() {
  if (!round_.has_value()) return FailedPrecondition("no round is open");
  if (count() == 0) return FailedPrecondition(fmt::format("round {} has no contribution to close with", *round_));
  const int round = *std::exchange(round_, std::nullopt);
  if (const auto unweighted = sum_.unweighted(); !unweighted.empty()) {
    LogWarning("round {}: the weights of {} tensors, '{}' first, are all zero; they keep their values", round,
               unweighted.size(), unweighted.front());
  }
  if (options_.optimizer != nullptr) options_.optimizer->BeginRound();
  AggregateResult result;
  ASSIGN_OR_RETURN(result.model, sum_.Finish([this](std::size_t tensor) { return StepOf(tensor); }));
  ASSIGN_OR_RETURN(result.metrics, MetricManager::From(MeanMetrics()));
  if (const auto best = MeanBestMetric(); best.has_value() && *best > best_metric_) {
    best_metric_ = *best;
    result.is_best = true;
  }
  return result;
}

// Sums in the order of the sites' names, so that they do not depend on who came first. What is not finite, or has no
// weight, says nothing about the others' mean.
MetricMap ModelAggregator::MeanMetrics() const {
  std::map<std::string, std::map<std::string, WeightedMean>> means;
  for (const auto& [name, site] : sites_) {
    for (const auto& [group, metrics] : site.metrics.ToMap()) {
      for (const auto& [metric, value] : metrics) means[group][metric].Add(value, site.weight);
    }
  }
  MetricMap result;
  for (const auto& [group, metrics] : means) {
    for (const auto& [metric, mean] : metrics) {
      if (mean.weight > 0) result[group][metric] = mean.value();
    }
  }
  return result;
}

std::optional<double> ModelAggregator::MeanBestMetric() const {
  WeightedMean mean;
  for (const auto& [name, site] : sites_) {
    for (const auto& [group, metrics] : site.metrics.ToMap()) {
      const auto found = metrics.find(std::string(kBestMetric));
      if (found == metrics.end()) continue;
      mean.Add(found->second, site.weight);
      break;
    }
  }
  return mean.weight > 0 ? std::optional(mean.value()) : std::nullopt;
}

ModelData ModelAggregator::SaveState() const {
  ModelData state;
  // Adding cannot fail: the names are short, and each is there once.
  const auto add = [&state](std::string name, const Tensor& tensor) {
    static_cast<void>(state.Add(std::move(name), tensor, Role::kBuffer).has_value());
  };
  if (std::isfinite(best_metric_)) add(std::string(kBestMetric), Tensor::Of<double>({1}, std::array{best_metric_}));
  if (options_.optimizer == nullptr) return state;
  for (const NamedTensor& tensor : options_.optimizer->SaveState()) {
    add(std::string(kOptimizerPrefix) + tensor.name, tensor.tensor);
  }
  return state;
}

Status ModelAggregator::LoadState(const ModelData& state) {
  double best_metric = -std::numeric_limits<double>::infinity();
  ModelData optimizer_state;
  for (const NamedTensor& tensor : state) {
    if (tensor.name == kBestMetric && tensor.tensor.dtype() == DType::kF64 && tensor.tensor.elements() == 1) {
      std::memcpy(&best_metric, tensor.tensor.bytes().data(), sizeof(best_metric));
    } else if (tensor.name.starts_with(kOptimizerPrefix) && options_.optimizer != nullptr) {
      RETURN_IF_ERROR(optimizer_state.Add(tensor.name.substr(kOptimizerPrefix.size()), tensor.tensor, tensor.role));
    } else {
      return InvalidArgument(fmt::format(
          "the state's tensor '{}' is not of this aggregator; go on with the optimizer it had, or begin a new run",
          Escaped(tensor.name)));
    }
  }
  if (options_.optimizer != nullptr) RETURN_IF_ERROR(options_.optimizer->LoadState(optimizer_state));
  best_metric_ = best_metric;
  return {};
}

}  // namespace fed_learn
