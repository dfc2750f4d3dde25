// DataProcessor: one link of a chain that a model passes before it is sent or after it was received.
#pragma once

#include "base/result.h"
#include "model/app_context.h"
#include "model/fl_context.h"

namespace fed_learn {

class DataProcessor {
 public:
  virtual ~DataProcessor() = default;

  // Changes data_ctx in place. On an error nothing of it is used: the contribution (or broadcast) does not happen.
  // One call at a time per instance.
  virtual Status Process(FLContext& data_ctx, const AppContext& app_ctx) = 0;

  // Stops a running Process soon; called from another thread.
  virtual void Abort(const AppContext& app_ctx) { static_cast<void>(app_ctx); }
};

}  // namespace fed_learn
