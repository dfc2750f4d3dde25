#include "trainers/tabular_model_source.h"

#include <cmath>
#include <random>
#include <string>
#include <utility>

#include "base/text.h"
#include "components/registry.h"

namespace fed_learn {
namespace {

constexpr std::int64_t kValuesMax = 100'000'000;

// Torch's generator and its way from 32 bits to a float, so that published results can be started from their own
// models.
Tensor UniformTensor(Shape shape, float limit, std::mt19937& random) {
  constexpr std::uint32_t low_24_bits = (1u << 24) - 1;
  Tensor tensor = Tensor::Allocate(DType::kF32, std::move(shape));
  for (float& value : tensor.mutable_values<float>()) {
    const double unit = (random() & low_24_bits) * 0x1p-24;
    value = static_cast<float>(unit * (limit - -limit) + -limit);
  }
  return tensor;
}

// The sizes from the inputs to the outputs.
std::vector<std::int64_t> Sizes(const TabularModelOptions& options) {
  std::vector<std::int64_t> sizes{options.inputs};
  sizes.insert(sizes.end(), options.hidden.begin(), options.hidden.end());
  sizes.push_back(options.outputs);
  return sizes;
}

Status CheckSizes(const TabularModelOptions& options) {
  const auto sizes = Sizes(options);
  std::int64_t values = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1 || sizes[i] > kValuesMax) {
      return InvalidArgument("args: 'inputs' (needed), 'outputs' and the sizes in 'hidden' must be 1 or more, not " +
                             std::to_string(sizes[i]));
    }
    if (i > 0) values += (sizes[i - 1] + 1) * sizes[i];
    if (values > kValuesMax) return InvalidArgument("args: the layers have more than 100,000,000 values in all");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<TabularModelSource>> TabularModelSource::FromArgs(const Json& json) {
  Args args(json);
  TabularModelOptions options;
  options.inputs = args.Int("inputs", 0);
  options.outputs = args.Int("outputs", 1);
  options.seed = static_cast<std::uint64_t>(args.Int("seed", 0));
  const std::string init = args.String("init", "uniform");
  const Json hidden = args.Value("hidden");
  bool hidden_is_list = hidden.is_null() || hidden.is_array();
  if (hidden.is_array()) {
    for (const Json& size : hidden) {
      hidden_is_list = hidden_is_list && size.is_number_integer();
      if (hidden_is_list) options.hidden.push_back(size.get<std::int64_t>());
    }
  }
  if (!hidden_is_list) args.Fail("hidden", "a list of whole numbers");
  RETURN_IF_ERROR(args.Done());
  if (init != "uniform" && init != "zeros") {
    return InvalidArgument("args.init is '" + Escaped(init) + "'" + DidYouMean(init, {"uniform", "zeros"}));
  }
  options.initialization = init == "zeros" ? Initialization::kZeros : Initialization::kUniform;
  if (options.initialization == Initialization::kZeros && !options.hidden.empty()) {
    return InvalidArgument("args.init 'zeros' goes with a linear model only: hidden units that start equal stay equal");
  }
  RETURN_IF_ERROR(CheckSizes(options));
  return std::make_unique<TabularModelSource>(std::move(options));
}

Result<ModelData> TabularModelSource::Build() {
  ModelData model;
  std::mt19937 random(static_cast<std::uint32_t>(options_.seed));
  const auto sizes = Sizes(options_);
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    const bool zeros = options_.initialization == Initialization::kZeros;
    const auto limit = zeros ? 0.0f : static_cast<float>(1 / std::sqrt(static_cast<double>(sizes[i])));
    const std::string name = "layers." + std::to_string(i);
    RETURN_IF_ERROR(
        model.Add(name + ".weight", UniformTensor({sizes[i + 1], sizes[i]}, limit, random), Role::kParameter));
    RETURN_IF_ERROR(model.Add(name + ".bias", UniformTensor({sizes[i + 1]}, limit, random), Role::kParameter));
  }
  return model;
}

}  // namespace fed_learn
