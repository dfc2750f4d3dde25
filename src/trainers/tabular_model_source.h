// TabularModelSource: the first model of a run with TabularFitter. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "components/model_source.h"

namespace fed_learn {

enum class Initialization {
  kUniform,  // weights and biases uniform in ±1/√inputs of their layer: bit for bit those that torch.nn.Linear layers,
             // made in this order after torch.manual_seed(seed), have
  kZeros,  // for a linear model; hidden units that start equal stay equal
};

struct TabularModelOptions {
  std::int64_t inputs = 0;
  std::vector<std::int64_t> hidden;  // units of each hidden layer; none: a linear model
  std::int64_t outputs = 1;
  Initialization initialization = Initialization::kUniform;
  std::uint64_t seed = 0;
};

class TabularModelSource : public ModelSource {
 public:
  // From {"inputs": 39, "hidden": [16], "outputs": 1, "init": "uniform" | "zeros", "seed": 0}; only "inputs" must be
  // there. InvalidArgument, naming the argument, for an unknown one, a size below 1, more than 10^8 values in all, or
  // zeros together with hidden layers.
  static Result<std::unique_ptr<TabularModelSource>> FromArgs(const Json& args);

  // REQUIRES: options that FromArgs could have made.
  explicit TabularModelSource(TabularModelOptions options) : options_(std::move(options)) {}

  // Never fails.
  Result<ModelData> Build() override;

 private:
  TabularModelOptions options_;
};

}  // namespace fed_learn
