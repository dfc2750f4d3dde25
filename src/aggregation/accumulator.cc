#include "aggregation/accumulator.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "aggregation/exact_values.h"
#include "aggregation/float_sum.h"
#include "aggregation/integer_sum.h"
#include "aggregation/maximum.h"
#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::array<std::pair<Rule, std::string_view>, 4> kRuleNames{{
    {Rule::kAverage, "average"},
    {Rule::kKeep, "keep"},
    {Rule::kMaximum, "maximum"},
    {Rule::kExact, "exact"},
}};

// By the names that PyTorch and TensorFlow give to BatchNorm's statistics.
bool IsVariance(const NamedTensor& tensor) {
  return tensor.role == Role::kBuffer && (tensor.name.find("running_var") != std::string::npos ||
                                          tensor.name.find("moving_variance") != std::string::npos);
}

std::unique_ptr<TensorSum> MakeSum(Rule rule, DType dtype, bool is_variance, const Kernels& kernels) {
  switch (rule) {
    case Rule::kKeep:
      return nullptr;
    case Rule::kExact:
      return std::make_unique<ExactValues>();
    case Rule::kMaximum:
      return std::make_unique<Maximum>();
    case Rule::kAverage:
      break;
  }
  if (!IsFloat(dtype)) return std::make_unique<IntegerSum>();
  return std::make_unique<FloatSum>(dtype, FloatSumOptions{.kernels = &kernels, .non_negative = is_variance});
}

std::string Quoted(std::string_view name) { return fmt::format("tensor '{}'", Escaped(name)); }

std::vector<std::string> NamesOf(const ModelData& model) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : model) names.push_back(tensor.name);
  return names;
}

}  // namespace

std::string_view ToString(Rule rule) {
  for (const auto& [known, name] : kRuleNames) {
    if (known == rule) return name;
  }
  return "unknown";
}

Result<Rule> RuleFromString(std::string_view name) {
  for (const auto& [rule, known] : kRuleNames) {
    if (known == name) return rule;
  }
  return InvalidArgument(fmt::format("'{}' is no rule; the rules are average, keep, maximum and exact", Escaped(name)));
}

Rule DefaultRule(const NamedTensor& tensor) {
  if (tensor.role == Role::kOpaque || tensor.tensor.dtype() == DType::kBool) return Rule::kKeep;
  return tensor.role == Role::kCounter ? Rule::kMaximum : Rule::kAverage;
}

Status Accumulator::Begin(ModelData start, const std::vector<Rule>& rules, UpdateKind kind) {
  count_ = 0;
  start_ = std::move(start);
  entries_.resize(start_.size());
  for (std::size_t i = 0; i < start_.size(); ++i) {
    if (auto begun = BeginTensor(start_[i], rules[i], kind, entries_[i]); !begun.has_value()) {
      const Error error = begun.error().In(Quoted(start_[i].name));
      start_ = {};
      return error;
    }
  }
  return {};
}

Status Accumulator::BeginTensor(const NamedTensor& tensor, Rule rule, UpdateKind kind, Entry& entry) {
  const DType dtype = tensor.tensor.dtype();
  const bool is_opaque = tensor.role == Role::kOpaque;
  if ((is_opaque || dtype == DType::kBool) && (rule == Rule::kAverage || rule == Rule::kMaximum)) {
    return InvalidArgument(fmt::format("the rule \"{}\" is not for {} tensors; use \"keep\" or \"exact\"",
                                       ToString(rule), is_opaque ? "opaque" : "bool"));
  }
  const bool is_variance = IsVariance(tensor);
  if (entry.rule != rule || entry.dtype != dtype || entry.is_variance != is_variance) {
    entry = {rule, dtype, is_variance, MakeSum(rule, dtype, is_variance, *kernels_)};
  }
  entry.was_sent = false;
  entry.has_weight = false;
  return entry.sum == nullptr ? Status() : entry.sum->Begin(tensor.tensor, kind);
}

Status Accumulator::Add(const ModelData& update, const Weight& weight) {
  if (count_ == kContributionsMax) {
    return ResourceExhausted(fmt::format("{} contributions are in the sum, and it holds no more", count_));
  }
  for (const NamedTensor& tensor : update) {
    const Status staged = StageTensor(tensor, weight);
    if (staged.has_value()) continue;
    for (const Staged& done : staged_) done.entry->sum->Undo(*done.tensor, weight);
    staged_.clear();
    return staged.error().In(Quoted(tensor.name));
  }
  for (const Staged& done : staged_) {
    done.entry->sum->Commit(*done.tensor, weight);
    done.entry->was_sent = true;
    done.entry->has_weight |= weight.divisor.units != 0;
  }
  staged_.clear();
  ++count_;
  return {};
}

Status Accumulator::StageTensor(const NamedTensor& update, const Weight& weight) {
  const NamedTensor* start = start_.Find(update.name);
  if (update.role == Role::kOpaque && (start == nullptr || start->role != Role::kOpaque)) {
    return InvalidArgument("it is opaque and cannot be summed; configure the post_processor that unpacks it");
  }
  if (start == nullptr) {
    return InvalidArgument("the global model has none of that name" + DidYouMean(update.name, NamesOf(start_)));
  }
  Entry& entry = entries_[static_cast<std::size_t>(start - &start_[0])];
  if (entry.sum == nullptr) return {};
  const Tensor& wanted = start->tensor;
  if (update.tensor.dtype() != wanted.dtype()) {
    return InvalidArgument(fmt::format("its dtype is {}, but {} in the global model", ToString(update.tensor.dtype()),
                                       ToString(wanted.dtype())));
  }
  if (update.tensor.shape() != wanted.shape()) {
    return InvalidArgument(fmt::format("its shape is {}, but {} in the global model", ToString(update.tensor.shape()),
                                       ToString(wanted.shape())));
  }
  RETURN_IF_ERROR(entry.sum->Stage(update.tensor, weight));
  staged_.push_back({&entry, &update.tensor});
  return {};
}

std::vector<std::string> Accumulator::unweighted() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].was_sent && !entries_[i].has_weight) names.push_back(start_[i].name);
  }
  return names;
}

Result<ModelData> Accumulator::Finish(const std::function<StepFunction(std::size_t tensor)>& step_of) {
  const ModelData start = std::exchange(start_, {});
  ModelData result;
  for (std::size_t i = 0; i < start.size(); ++i) {
    Tensor tensor = start[i].tensor;
    if (TensorSum* sum = entries_[i].sum.get(); sum != nullptr) {
      auto finished = sum->Finish(step_of ? step_of(i) : StepFunction());
      if (!finished.has_value()) return finished.error().In(Quoted(start[i].name));
      tensor = *std::move(finished);
    }
    RETURN_IF_ERROR(result.Add(start[i].name, std::move(tensor), start[i].role));
  }
  return result;
}

}  // namespace fed_learn
