#include "client/trainer_messages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/random.h"
#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::size_t kNoteBytesMax = 200;
constexpr std::size_t kReasonBytesMax = 4000;

// JSON has no NaN and no infinities, but metrics have.
std::optional<double> ReadNumber(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

Result<MetricManager> ReadMetrics(const Json& message) {
  MetricMap metrics;
  const auto found = message.find("metrics");
  if (found == message.end() || found->is_null()) return MetricManager();
  if (!found->is_object()) return InvalidArgument(R"(metrics must be {"group": {"metric": number}})");
  for (const auto& [group, values] : found->items()) {
    if (!values.is_object()) return InvalidArgument("metrics." + Escaped(group) + R"( must be {"metric": number})");
    for (const auto& [name, value] : values.items()) {
      const auto number = ReadNumber(value);
      if (!number) return InvalidArgument("metrics." + Escaped(group) + "." + Escaped(name) + " must be a number");
      metrics[group][name] = *number;
    }
  }
  return MetricManager::From(std::move(metrics));
}

Result<UpdateKind> ReadKind(const Json& message) {
  const auto found = message.find("kind");
  if (found == message.end() || *found == "weights") return UpdateKind::kWeights;
  if (*found == "difference") return UpdateKind::kDifference;
  return InvalidArgument("kind must be weights or difference");
}

// A string of a message, shortened to one line.
std::string ReadLine(const Json& message, const char* key, std::size_t bytes_max) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_string()) return {};
  std::string line = Escaped(found->get_ref<const std::string&>());
  if (line.size() <= bytes_max) return line;
  line.resize(bytes_max);
  while (!line.empty() && !IsUtf8(line)) line.pop_back();
  return line + "…";
}

}  // namespace

std::string_view ToString(TrainerTask task) { return task == TrainerTask::kTrain ? "train" : "validate"; }

Json WelcomeTrainer() { return {{"type", "welcome"}, {"version", kTrainerProtocolVersion}}; }

Json TaskForTrainer(std::uint64_t id, TrainerTask task, const AppContext& app_ctx) {
  const std::uint64_t seed =
      DeriveSeed(app_ctx.seed, app_ctx.client_name, static_cast<std::uint64_t>(app_ctx.current_round));
  return {{"type", "task"},
          {"task", id},
          {"kind", ToString(task)},
          {"task_name", app_ctx.task_name},
          {"client_name", app_ctx.client_name},
          {"run", app_ctx.run_number},
          {"round", app_ctx.current_round},
          {"start_round", app_ctx.start_round},
          {"num_rounds", app_ctx.num_rounds},
          {"local_epochs", app_ctx.local_epochs},
          {"steps_aggregation", app_ctx.steps_aggregation},
          // 32 bits, since some libraries take no more.
          {"seed", seed >> 32}};
}

Json AbortForTrainer(std::uint64_t id) { return {{"type", "abort"}, {"task", id}}; }

Json CloseForTrainer() { return {{"type", "close"}}; }

Status CheckTrainerHello(const Json& hello) {
  const auto versions = hello.find("versions");
  if (versions != hello.end() && versions->is_array() &&
      std::find(versions->begin(), versions->end(), kTrainerProtocolVersion) != versions->end()) {
    return {};
  }
  return InvalidArgument("it does not speak version " + std::to_string(kTrainerProtocolVersion) +
                         " of the local channel; use the Python package fed_learn that came with this program");
}

FitProgress ReadTrainerProgress(const Json& message) {
  const auto done = message.find("done");
  const double share = done != message.end() && done->is_number() ? done->get<double>() : 0;
  return {.done = std::clamp(share, 0.0, 1.0), .note = ReadLine(message, "note", kNoteBytesMax)};
}

std::string ReadTrainerFailure(const Json& message) {
  std::string reason = ReadLine(message, "message", kReasonBytesMax);
  return reason.empty() ? "it did not say why" : reason;
}

Result<TrainerResult> ReadTrainerResult(const Json& message, TrainerTask task) {
  TrainerResult result;
  ASSIGN_OR_RETURN(result.metrics, ReadMetrics(message));
  if (task == TrainerTask::kValidate) return result;
  ASSIGN_OR_RETURN(result.kind, ReadKind(message));
  const auto n_iter = message.find("n_iter");
  if (n_iter == message.end() || !n_iter->is_number() || !(n_iter->get<double>() >= 0) ||
      !std::isfinite(n_iter->get<double>())) {
    return InvalidArgument("n_iter must be the number of training steps done, at least 0");
  }
  result.n_iter = n_iter->get<double>();
  return result;
}

std::string TypeOf(const LocalMessage& message) { return ReadLine(message.header, "type", kNoteBytesMax); }

std::uint64_t TaskOf(const LocalMessage& message) {
  const auto task = message.header.find("task");
  return task != message.header.end() && task->is_number_unsigned() ? task->get<std::uint64_t>() : 0;
}

}  // namespace fed_learn
