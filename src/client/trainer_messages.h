// The words that a client and a trainer exchange over the local channel, as structs. docs/local_channel.md is their
// reference. Reading ignores unknown keys and refuses, naming the key, a missing one or a wrong type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "components/fitter.h"
#include "model/app_context.h"
#include "model/metric_manager.h"
#include "transport/local/channel.h"

namespace fed_learn {

inline constexpr int kTrainerProtocolVersion = 1;

enum class TrainerTask { kTrain, kValidate };
std::string_view ToString(TrainerTask task);  // "train", "validate"

// Client → trainer, the answer to its hello.
Json WelcomeTrainer();

// Client → trainer: a piece of work. The model is added by PackModel.
Json TaskForTrainer(std::uint64_t id, TrainerTask task, const AppContext& app_ctx);

// Client → trainer: give up the task; end.
Json AbortForTrainer(std::uint64_t id);
Json CloseForTrainer();

// Trainer → client: InvalidArgument if it does not speak our version.
Status CheckTrainerHello(const Json& hello);

// Trainer → client, about a task.
FitProgress ReadTrainerProgress(const Json& message);
std::string ReadTrainerFailure(const Json& message);  // its reason, on one line

struct TrainerResult {
  UpdateKind kind = UpdateKind::kWeights;  // what the model holds
  double n_iter = 0;                       // 0 for a validation
  MetricManager metrics;
};
Result<TrainerResult> ReadTrainerResult(const Json& message, TrainerTask task);

// The "type" of a message, and the id of the task that it is about; empty and 0 if there is none.
std::string TypeOf(const LocalMessage& message);
std::uint64_t TaskOf(const LocalMessage& message);

}  // namespace fed_learn
