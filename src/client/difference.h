// The difference that a site contributes: its values after training, less the global ones it began with.
#pragma once

#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

// Element by element. f16 and bf16 are subtracted in f32 and rounded to nearest, ties to even; integers wrap around, so
// that adding the difference to `global` gives `local` again; of bools, true says that they differ.
// REQUIRES: equal dtypes and shapes.
Tensor Difference(const Tensor& local, const Tensor& global);

// Of each tensor of `local`, in its order, with the roles of `global`. REQUIRES: `global` has them, equal in dtype and
// shape.
Result<ModelData> Difference(const ModelData& local, const ModelData& global);

}  // namespace fed_learn
