#include "model/model_data.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::size_t kNameBytesMax = 1024;

// In the order of the enumeration.
constexpr std::array<std::string_view, 4> kRoles = {"parameter", "buffer", "counter", "opaque"};

// A default Tensor stands for a zero without storage; a model holds the zero itself.
Tensor WithStorage(Tensor tensor) {
  const bool lacks = tensor.byte_size() == 0 && tensor.shape().empty();
  return lacks ? Tensor::Zeros(tensor.dtype(), {}) : std::move(tensor);
}

}  // namespace

std::string_view ToString(Role role) { return kRoles[static_cast<std::size_t>(role)]; }

Result<Role> RoleFromString(std::string_view name) {
  for (std::size_t i = 0; i < kRoles.size(); ++i) {
    if (kRoles[i] == name) return static_cast<Role>(i);
  }
  return InvalidArgument("role '" + std::string(name) + "' is not known; use parameter, buffer, counter or opaque");
}

Role GuessRole(std::string_view name, const Tensor& tensor) {
  if (name.ends_with(":0")) name.remove_suffix(2);  // TensorFlow 1 names the output, not the variable
  for (const std::string_view ending : {"running_mean", "running_var", "moving_mean", "moving_variance"}) {
    if (name.ends_with(ending)) return Role::kBuffer;
  }
  if (name.ends_with("num_batches_tracked")) return Role::kCounter;
  if (!IsFloat(tensor.dtype()) && tensor.shape().empty()) return Role::kCounter;
  return Role::kParameter;
}

Status CheckTensorName(std::string_view name) {
  if (name.empty()) return InvalidArgument("a tensor has an empty name; every tensor needs one");
  if (name.size() > kNameBytesMax) {
    return InvalidArgument("tensor '" + Escaped(name.substr(0, 40)) + "…' has a name of " +
                           std::to_string(name.size()) + " bytes; at most " + std::to_string(kNameBytesMax) +
                           " are allowed");
  }
  if (!IsUtf8(name)) return InvalidArgument("tensor '" + Escaped(name) + "' has a name that is not UTF-8");
  return {};
}

Status ModelData::Add(std::string name, Tensor tensor, Role role) {
  RETURN_IF_ERROR(CheckTensorName(name));
  const auto [place, is_new] = index_.try_emplace(name, tensors_.size());
  if (!is_new) return InvalidArgument("tensor '" + Escaped(name) + "' is there twice; names must be unique");
  tensors_.push_back({std::move(name), WithStorage(std::move(tensor)), role});
  return {};
}

Status ModelData::Add(std::string name, Tensor tensor) {
  const Role role = GuessRole(name, tensor);
  return Add(std::move(name), std::move(tensor), role);
}

Status ModelData::Set(std::string_view name, Tensor tensor) {
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) return NotFound("the model has no tensor '" + Escaped(name) + "'");
  tensors_[found->second].tensor = WithStorage(std::move(tensor));
  return {};
}

const NamedTensor* ModelData::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::uint64_t ModelData::byte_size() const {
  std::uint64_t size = 0;
  for (const NamedTensor& named : tensors_) size += named.tensor.byte_size();
  return size;
}

ModelData ModelData::Clone() const {
  ModelData copy = *this;
  for (NamedTensor& named : copy.tensors_) named.tensor = named.tensor.Clone();
  return copy;
}

bool operator==(const ModelData& a, const ModelData& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const NamedTensor& left, const NamedTensor& right) {
    return left.name == right.name && left.role == right.role && left.tensor == right.tensor;
  });
}

}  // namespace fed_learn
