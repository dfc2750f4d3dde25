// ModelSaver: keeps the global model for people, in a format of theirs. The server's own store keeps the run going; a
// saver that fails is reported and does not stop a round.
#pragma once

#include "base/result.h"
#include "components/model_source.h"
#include "model/app_context.h"
#include "model/model_data.h"

namespace fed_learn {

class ModelSaver {
 public:
  virtual ~ModelSaver() = default;

  // `builder` may be null; it outlives the saver.
  virtual Status Initialize(ModelSource* builder) = 0;

  // The run's first model: from the configured checkpoint, else from the builder.
  virtual Result<ModelData> LoadModel() = 0;

  // The global model after a round. `is_best` speaks of the model given: it is also kept as the best.
  // Atomic: a crash leaves the previous file or the new one.
  virtual Status SaveModel(const ModelData& model, bool is_best, const AppContext& app_ctx) = 0;

  virtual void Close() {}
};

}  // namespace fed_learn
