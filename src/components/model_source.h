// ModelSource: where a run's first model comes from (the seed's `builder`).
#pragma once

#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

class ModelSource {
 public:
  virtual ~ModelSource() = default;

  // The untrained model. The same every time: initial values come from a seed in the arguments.
  virtual Result<ModelData> Build() = 0;
};

}  // namespace fed_learn
