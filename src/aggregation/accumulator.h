// Accumulator: the sum of one round's contributions, whole ones only, the same bits in any order of arrival.
//
// Memory: 8 bytes an element for averaged f32, f16 and bf16 tensors and for counters; 16 for tensors of f64, of
// integers that are averaged, of zeros, and those whose sums outgrow int64 (see float_sum.h). Kept from round to round.
//
// Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aggregation/tensor_sum.h"
#include "base/result.h"
#include "model/contribution.h"
#include "model/model_data.h"

namespace fed_learn {

// What becomes of a tensor.
enum class Rule {
  kAverage,  // the weighted mean over those who sent it; integers rounded to nearest, ties to even
  kKeep,     // stays as it is; what sites send under its name is not looked at
  kMaximum,  // the largest local value
  kExact,    // stays as it is; a site that sends something else is refused
};

std::string_view ToString(Rule rule);  // "average", "keep", "maximum", "exact"
Result<Rule> RuleFromString(std::string_view name);

// Counters: maximum. Bools and opaque tensors: keep. All others: average.
Rule DefaultRule(const NamedTensor& tensor);

class Accumulator {
 public:
  // As many as cannot overflow a 128-bit sum.
  static constexpr int kContributionsMax = 65536;

  explicit Accumulator(const Kernels& kernels = BestKernels()) : kernels_(&kernels) {}

  // Opens a round on the model it starts from, with a rule for each of its tensors, and forgets what was not finished.
  // InvalidArgument naming the tensor: a bool or opaque one that is to be averaged or maximised, NaN or infinity in one
  // that is to be averaged; then no round is open.
  Status Begin(ModelData start, const std::vector<Rule>& rules, UpdateKind kind);

  // Adds a whole update, or nothing of it. Tensors that it lacks count for nothing.
  //   InvalidArgument, naming the tensor: a name the starting model lacks, another dtype or shape, an opaque tensor,
  //   NaN
  //                    or infinity, a value too large for the sum, a value that differs under the rule "exact"
  //   ResourceExhausted: kContributionsMax have been added
  // REQUIRES: an open round.
  Status Add(const ModelData& update, const Weight& weight);

  int count() const { return count_; }

  // Tensors that were sent, but only with weights of zero; they keep their values.
  std::vector<std::string> unweighted() const;

  // Closes the round. `step_of` gives the step for the mean difference of a tensor, by its place in the model; it and
  // what it returns may be empty. FailedPrecondition naming the tensor, if a new value is not finite.
  // REQUIRES: an open round.
  Result<ModelData> Finish(const std::function<StepFunction(std::size_t tensor)>& step_of = {});

 private:
  struct Entry {
    Rule rule = Rule::kKeep;
    DType dtype = DType::kF32;
    bool is_variance = false;
    std::unique_ptr<TensorSum> sum;  // null under kKeep
    bool was_sent = false;
    bool has_weight = false;
  };
  struct Staged {
    Entry* entry;
    const Tensor* tensor;
  };

  Status BeginTensor(const NamedTensor& tensor, Rule rule, UpdateKind kind, Entry& entry);
  Status StageTensor(const NamedTensor& update, const Weight& weight);

  const Kernels* kernels_;
  ModelData start_;
  std::vector<Entry> entries_;  // one for each tensor of start_
  std::vector<Staged> staged_;  // empty between calls
  int count_ = 0;
};

}  // namespace fed_learn
