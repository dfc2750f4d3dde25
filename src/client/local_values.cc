#include "client/local_values.h"

#include <algorithm>
#include <charconv>

#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::string_view kSuffix = ".flmodel";

template <typename T>
Tensor SumOf(const Tensor& a, const Tensor& b) {
  Tensor sum = Tensor::Allocate(a.dtype(), a.shape());
  const auto out = sum.mutable_values<T>();
  const auto left = a.values<T>();
  const auto right = b.values<T>();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = left[i] + right[i];
  return sum;
}

}  // namespace

std::optional<int> LocalValues::RoundOf(std::string_view name) const {
  if (!name.starts_with(prefix_) || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(prefix_.size());
  int round = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), round);
  if (error != std::errc() || std::string_view(end, name.data() + name.size()) != kSuffix) return std::nullopt;
  return round;
}

Result<std::vector<int>> LocalValues::StoredRounds() const {
  ASSIGN_OR_RETURN(const auto names, disk_.List(folder_));
  std::vector<int> rounds;
  for (const std::string& name : names) {
    if (const auto round = RoundOf(name)) rounds.push_back(*round);
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds;
}

Result<ModelData> LocalValues::Apply(const ModelData& global, int round) const {
  ASSIGN_OR_RETURN(const auto rounds, StoredRounds());
  const auto after = std::lower_bound(rounds.begin(), rounds.end(), round);
  if (after == rounds.begin()) return global;
  ASSIGN_OR_RETURN(const auto stored, ReadPackage(disk_, PathOf(*(after - 1))));
  ModelData model = global;
  for (const NamedTensor& entry : stored->model) {
    const NamedTensor* found = model.Find(entry.name);
    if (found == nullptr || found->tensor.dtype() != entry.tensor.dtype() ||
        found->tensor.shape() != entry.tensor.shape()) {
      continue;
    }
    RETURN_IF_ERROR(model.Set(entry.name, entry.tensor));
  }
  return model;
}

Status LocalValues::Store(ModelData values, int round) const {
  RETURN_IF_ERROR(WritePackage(disk_, PathOf(round), *EncodeModel(std::move(values))));
  ASSIGN_OR_RETURN(const auto rounds, StoredRounds());
  const auto here = std::lower_bound(rounds.begin(), rounds.end(), round);
  // The round before stays: it is where this one starts if it is done again.
  for (auto it = rounds.begin(); it != here && it + 1 != here; ++it) RETURN_IF_ERROR(disk_.Remove(PathOf(*it)));
  return {};
}

Result<Tensor> Sum(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) {
    return InvalidArgument("a sum of " + std::string(ToString(a.dtype())) + ToString(a.shape()) + " and " +
                           std::string(ToString(b.dtype())) + ToString(b.shape()));
  }
  if (a.dtype() == DType::kF32) return SumOf<float>(a, b);
  if (a.dtype() == DType::kF64) return SumOf<double>(a, b);
  return InvalidArgument("a local variable of dtype " + std::string(ToString(a.dtype())) +
                         " cannot be kept from differences; have the trainer send weights");
}

}  // namespace fed_learn
