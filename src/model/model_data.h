// ModelData: the tensors of a model by name, in a fixed order (the order of adding), each with the role that decides
// how it is aggregated. Copying it copies pointers, not values. Not thread-safe while it is being changed.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/tensor.h"

namespace fed_learn {

enum class Role : std::uint8_t {
  kParameter,  // trained: averaged
  kBuffer,     // running statistics (BatchNorm mean and variance): averaged, never by an optimizer's momentum
  kCounter,    // num_batches_tracked: integer-exact, the maximum is taken
  kOpaque,     // bytes that only a configured component understands (u8); stands aside from validation and sums
};

std::string_view ToString(Role role);  // "parameter", "buffer", "counter", "opaque"
Result<Role> RoleFromString(std::string_view name);

// What the framework's own name and the dtype say: "…running_mean", "…running_var", "…moving_mean",
// "…moving_variance" are buffers; "…num_batches_tracked" and any other integer or bool scalar are counters; the rest
// are parameters.
Role GuessRole(std::string_view name, const Tensor& tensor);

struct NamedTensor {
  std::string name;
  Tensor tensor;
  Role role = Role::kParameter;
};

// InvalidArgument for an empty name, one longer than 1,024 bytes, or one that is not UTF-8.
Status CheckTensorName(std::string_view name);

class ModelData {
 public:
  // A Tensor without storage is added (and set) as the zero scalar that it stands for.
  // InvalidArgument for a name that CheckTensorName refuses, or one that is there.
  Status Add(std::string name, Tensor tensor, Role role);
  Status Add(std::string name, Tensor tensor);  // role by GuessRole

  // Replaces the values of a tensor that is there; dtype and shape may change. NotFound otherwise.
  Status Set(std::string_view name, Tensor tensor);

  const NamedTensor* Find(std::string_view name) const;  // null if absent
  bool Contains(std::string_view name) const { return Find(name) != nullptr; }

  std::size_t size() const { return tensors_.size(); }
  bool empty() const { return tensors_.empty(); }
  auto begin() const { return tensors_.begin(); }
  auto end() const { return tensors_.end(); }
  const NamedTensor& operator[](std::size_t index) const { return tensors_[index]; }

  std::uint64_t byte_size() const;  // of all values

  // Own copies of all bytes.
  ModelData Clone() const;

 private:
  std::vector<NamedTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
};

bool operator==(const ModelData& a, const ModelData& b);  // names, order, roles and bytes

}  // namespace fed_learn
