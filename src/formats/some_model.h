// For the tests of formats: a model with every kind of tensor there is.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/random.h"
#include "model/model_data.h"

namespace fed_learn {

inline Tensor RandomTensor(DType dtype, Shape shape, std::uint64_t seed) {
  Tensor tensor = Tensor::Allocate(dtype, std::move(shape));
  Random random(seed);
  for (std::byte& byte : tensor.mutable_bytes()) {
    byte = static_cast<std::byte>(dtype == DType::kBool ? random.Below(2) : random.Below(256));
  }
  return tensor;
}

// One of every dtype, beside scalars, tensors of no elements and names that need escaping.
inline ModelData EveryKindOfTensor(bool with_bf16) {
  constexpr std::array<DType, 13> dtypes = {DType::kF16, DType::kBF16, DType::kF32, DType::kF64, DType::kI8,
                                            DType::kU8,  DType::kI16,  DType::kU16, DType::kI32, DType::kU32,
                                            DType::kI64, DType::kU64,  DType::kBool};
  ModelData model;
  const auto add = [&model](std::string name, Tensor tensor, Role role) {
    ASSERT_TRUE(model.Add(std::move(name), std::move(tensor), role).has_value());
  };
  for (const DType dtype : dtypes) {
    if (dtype == DType::kBF16 && !with_bf16) continue;
    add("layer/" + std::string(ToString(dtype)), RandomTensor(dtype, {3, 5}, model.size()), Role::kParameter);
  }
  add("scalar", RandomTensor(DType::kF64, {}, 1), Role::kParameter);
  add("none", RandomTensor(DType::kF32, {0, 4}, 1), Role::kParameter);
  add("bn.running_mean", RandomTensor(DType::kF32, {7}, 2), Role::kBuffer);
  add("bn.num_batches_tracked", RandomTensor(DType::kI64, {}, 3), Role::kCounter);
  add("größe \"q\"", RandomTensor(DType::kU8, {9}, 4), Role::kParameter);
  return model;
}

}  // namespace fed_learn
