#include "benchmarks/federation/workload.h"

#include <fmt/format.h>

#include "base/random.h"

namespace fed_learn {
namespace {

constexpr int kLargeTensors = 16;
constexpr std::int64_t kSmallElements = 256;
constexpr std::int64_t kWindowStep = 16;  // elements: windows begin at 64-byte boundaries

// Weights and biases, in turns.
std::vector<std::int64_t> TensorElements(std::int64_t elements) {
  const std::int64_t large = (elements - kLargeTensors * kSmallElements) / kLargeTensors;
  std::vector<std::int64_t> sizes;
  for (int i = 0; i < kLargeTensors; ++i) sizes.insert(sizes.end(), {large, kSmallElements});
  sizes.front() += elements - kLargeTensors * (large + kSmallElements);
  return sizes;
}

void Fill(std::span<float> values, std::uint64_t seed, float scale) {
  Random random(seed);
  for (float& value : values) value = static_cast<float>(random.Uniform() - 0.5) * scale;
}

std::string TensorName(std::size_t index) {
  return fmt::format("layer_{}.{}", index / 2, index % 2 == 0 ? "weight" : "bias");
}

// The names are short, and each is there once: adding cannot fail.
void Add(ModelData& model, std::size_t index, Tensor tensor) {
  static_cast<void>(model.Add(TensorName(index), std::move(tensor)).has_value());
}

Tensor MakePool(const WorkloadOptions& options) {
  Tensor pool = Tensor::Allocate(DType::kF32, {options.elements + kWindowStep * options.sites * options.rounds});
  Fill(pool.mutable_values<float>(), DeriveSeed(1, "updates"), 0.02F);
  return pool;
}

}  // namespace

std::string SiteName(int site) { return fmt::format("site_{}", site + 1); }

Workload::Workload(WorkloadOptions options) : options_(options), tensor_elements_(TensorElements(options.elements)) {}

ModelData Workload::FirstModel() const {
  ModelData model;
  for (std::size_t i = 0; i < tensor_elements_.size(); ++i) {
    Tensor tensor = Tensor::Allocate(DType::kF32, {tensor_elements_[i]});
    Fill(tensor.mutable_values<float>(), DeriveSeed(1, "model", i), 1);
    Add(model, i, std::move(tensor));
  }
  return model;
}

ModelData Workload::UpdateOf(int site, int round) {
  if (pool_.elements() <= 1) pool_ = MakePool(options_);
  const std::int64_t window = kWindowStep * (static_cast<std::int64_t>(round) * options_.sites + site);
  auto bytes = pool_.bytes().subspan(static_cast<std::size_t>(window) * sizeof(float));
  const auto owner = std::make_shared<Tensor>(pool_);
  ModelData update;
  for (std::size_t i = 0; i < tensor_elements_.size(); ++i) {
    const auto size = static_cast<std::size_t>(tensor_elements_[i]) * sizeof(float);
    Add(update, i, Tensor::View(DType::kF32, {tensor_elements_[i]}, owner, bytes.first(size)));
    bytes = bytes.subspan(size);
  }
  return update;
}

}  // namespace fed_learn
