#include "client/command_fitter.h"

#include <csignal>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "client/difference.h"
#include "client/trainer_environment.h"
#include "transport/local/model_message.h"

namespace fed_learn {
namespace {

constexpr std::size_t kTitleBytesMax = 80;

std::string TitleOf(const std::vector<std::string>& command) {
  std::string words;
  for (const std::string& word : command) words += (words.empty() ? "" : " ") + word;
  if (words.size() > kTitleBytesMax) words = words.substr(0, kTitleBytesMax) + "…";
  return "trainer '" + Escaped(words) + "'";
}

std::optional<std::vector<std::string>> ReadTexts(const Json& json) {
  if (!json.is_array() || json.empty()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& text : json) {
    if (!text.is_string() || text.get_ref<const std::string&>().find('\0') != std::string::npos) return std::nullopt;
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::optional<std::map<std::string, std::string>> ReadVariables(const Json& json) {
  std::map<std::string, std::string> variables;
  if (json.is_null()) return variables;
  if (!json.is_object()) return std::nullopt;
  for (const auto& [name, value] : json.items()) {
    const bool is_name = !name.empty() && name.find_first_of(std::string("=\0", 2)) == std::string::npos;
    if (!is_name || !value.is_string()) return std::nullopt;
    variables[name] = value.get<std::string>();
  }
  return variables;
}

// What training sends must be the global model's, as far as it goes; its order and roles then are the global one's,
// too.
Result<ModelData> InOrderOf(const ModelData& global, const ModelData& sent) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : global) names.push_back(tensor.name);
  for (const NamedTensor& tensor : sent) {
    const NamedTensor* start = global.Find(tensor.name);
    if (start == nullptr) {
      return InvalidArgument("sent tensor '" + Escaped(tensor.name) + "', which the model does not have" +
                             DidYouMean(tensor.name, names));
    }
    if (start->tensor.dtype() != tensor.tensor.dtype()) {
      return InvalidArgument("sent tensor '" + Escaped(tensor.name) + "' as " +
                             std::string(ToString(tensor.tensor.dtype())) + "; the model has it as " +
                             std::string(ToString(start->tensor.dtype())));
    }
    if (start->tensor.shape() != tensor.tensor.shape()) {
      return InvalidArgument("sent tensor '" + Escaped(tensor.name) + "' with shape " +
                             ToString(tensor.tensor.shape()) + "; the model has it with shape " +
                             ToString(start->tensor.shape()));
    }
  }
  if (sent.empty() && !global.empty()) return InvalidArgument("sent a result without any tensor of the model");
  ModelData ordered;
  for (const NamedTensor& start : global) {
    const NamedTensor* tensor = sent.Find(start.name);
    if (tensor != nullptr) RETURN_IF_ERROR(ordered.Add(start.name, tensor->tensor, start.role));
  }
  return ordered;
}

}  // namespace

Result<std::unique_ptr<CommandFitter>> CommandFitter::FromArgs(const Json& json, const std::string& app_folder) {
  CommandFitterOptions options;
  Args args(json);
  const auto command = ReadTexts(args.Value("command"));
  if (!command || command->front().empty()) {
    args.Fail("command", R"(the program and its arguments, as in ["python3", "train.py"])");
  }
  const auto environment = ReadVariables(args.Value("environment"));
  if (!environment) args.Fail("environment", R"(an object of strings, as in {"DATA_FOLDER": "/data"})");
  const std::string folder = args.String("working_directory", "");
  const std::int64_t restarts = args.Int("restarts", options.restarts);
  if (restarts < 0 || restarts > 1000) args.Fail("restarts", "a whole number from 0 to 1000");
  const double stall_timeout = args.Number("trainer_stall_timeout", options.trainer_stall_timeout.count());
  if (!(stall_timeout >= 1) || stall_timeout > 1e9) args.Fail("trainer_stall_timeout", "seconds, at least 1");
  RETURN_IF_ERROR(args.Done());
  options.command = *command;
  options.environment = *environment;
  const bool starts_here = folder.starts_with('/') || app_folder.empty();
  options.working_directory = starts_here ? folder : folder.empty() ? app_folder : app_folder + "/" + folder;
  options.restarts = static_cast<int>(restarts);
  options.trainer_stall_timeout = std::chrono::duration<double>(stall_timeout);
  return std::make_unique<CommandFitter>(std::move(options));
}

CommandFitter::CommandFitter(CommandFitterOptions options)
    : options_(std::move(options)), title_(TitleOf(options_.command)) {}

CommandFitter::~CommandFitter() = default;

Status CommandFitter::Initialize(const AppContext&) { return EnsureRunning(); }

Status CommandFitter::EnsureRunning() {
  if (program_ != nullptr) RETURN_IF_ERROR(CatchUp());
  if (program_ != nullptr && program_->running()) return {};
  if (program_ == nullptr || program_->lost()) {
    ASSIGN_OR_RETURN(program_,
                     ChildProgram::Create({.command = options_.command,
                                           .working_directory = options_.working_directory,
                                           .environment = TrainerEnvironment(OwnEnvironment(), options_.environment),
                                           .title = title_,
                                           .stall_timeout = options_.trainer_stall_timeout,
                                           .activity = options_.activity}));
  }
  greeted_ = false;
  RETURN_IF_ERROR(program_->Start());
  LogInfo("{} runs as process {}", title_, program_->process());
  return {};
}

// What has happened since the last task: a program may say hello late, or end when it has done one task.
Status CommandFitter::CatchUp() {
  while (program_->running()) {
    ProgramEvent event = program_->Wait([] { return true; });
    if (std::holds_alternative<WaitStopped>(event)) return {};
    if (const auto* ended = std::get_if<ProgramEnded>(&event)) {
      LogInfo("{} {}, after its task; it is started again", title_, ended->how);
    }
    if (const auto* broken = std::get_if<ProgramBroken>(&event)) {
      LogWarning("{}; it is started again", broken->why.message());
      program_->Kill();
    }
    const auto* message = std::get_if<LocalMessage>(&event);
    if (message != nullptr && !greeted_ && TypeOf(*message) == "hello") RETURN_IF_ERROR(Greet(*message));
  }
  return {};
}

Result<FitResult> CommandFitter::Fit(const ModelData& global, const AppContext& app_ctx,
                                     const std::function<void(const FitProgress&)>& on_progress) {
  ASSIGN_OR_RETURN(const LocalMessage answer, Run(TrainerTask::kTrain, global, app_ctx, on_progress));
  auto result = ReadFit(answer, global);
  if (!result.has_value()) return result.error().In(title_);
  return result;
}

Result<FitResult> CommandFitter::ReadFit(const LocalMessage& answer, const ModelData& global) const {
  ASSIGN_OR_RETURN(TrainerResult sent, ReadTrainerResult(answer.header, TrainerTask::kTrain));
  ASSIGN_OR_RETURN(const ModelData model, UnpackModel(answer, "model", "its result"));
  ASSIGN_OR_RETURN(ModelData update, InOrderOf(global, model));
  if (sent.kind == UpdateKind::kWeights) {
    ASSIGN_OR_RETURN(update, Difference(update, global));
  }
  return FitResult{.update = std::move(update),
                   .kind = UpdateKind::kDifference,
                   .n_iter = sent.n_iter,
                   .metrics = std::move(sent.metrics)};
}

Result<MetricManager> CommandFitter::Validate(const ModelData& model, const AppContext& app_ctx) {
  ASSIGN_OR_RETURN(const LocalMessage answer, Run(TrainerTask::kValidate, model, app_ctx, {}));
  auto result = ReadTrainerResult(answer.header, TrainerTask::kValidate);
  if (!result.has_value()) return result.error().In(title_);
  return std::move(result->metrics);
}

Result<LocalMessage> CommandFitter::Run(TrainerTask task, const ModelData& model, const AppContext& app_ctx,
                                        const std::function<void(const FitProgress&)>& on_progress) {
  for (int restarts = 0;; ++restarts) {
    Attempt attempt = Try(task, model, app_ctx, on_progress);
    if (auto* answer = std::get_if<LocalMessage>(&attempt)) return std::move(*answer);
    if (auto* error = std::get_if<Error>(&attempt)) return std::move(*error);
    const std::string& how = std::get<Lost>(attempt).how;
    if (restarts == options_.restarts) {
      return Unavailable(how + (restarts == 0 ? "" : " (after " + std::to_string(restarts) + " restarts)"));
    }
    LogWarning("{}; it is started again", how);
  }
}

CommandFitter::Attempt CommandFitter::Try(TrainerTask task, const ModelData& model, const AppContext& app_ctx,
                                          const std::function<void(const FitProgress&)>& on_progress) {
  if (Status running = EnsureRunning(); !running.has_value()) return running.error();
  const std::uint64_t id = ++task_;
  LocalMessage work{.header = TaskForTrainer(id, task, app_ctx), .memory = std::nullopt};
  if (Status packed = PackModel(model, "model", work); !packed.has_value()) return packed.error();
  bool sent = false;
  while (true) {
    if (greeted_ && !sent) {
      // A program that has closed its channel ends, and how it ended says more.
      static_cast<void>(program_->Send(std::move(work)).has_value());
      sent = true;
    }
    Attempt next = Next(app_ctx);
    const auto* message = std::get_if<LocalMessage>(&next);
    if (message == nullptr) return next;
    const std::string type = TypeOf(*message);
    if (type == "hello" && !greeted_) {
      if (Status greeted = Greet(*message); !greeted.has_value()) return greeted.error();
    }
    if (TaskOf(*message) != id) continue;
    if (type == "progress" && on_progress) on_progress(ReadTrainerProgress(message->header));
    if (type == "result") return next;
    if (type == "failed") {
      const std::string reason = ReadTrainerFailure(message->header);
      return FailedPrecondition(title_ + " could not do its task: " + reason);
    }
  }
}

Status CommandFitter::Greet(const LocalMessage& hello) {
  if (Status spoken = CheckTrainerHello(hello.header); !spoken.has_value()) {
    program_->Kill();
    return spoken.error().In(title_);
  }
  greeted_ = true;
  static_cast<void>(program_->Send({.header = WelcomeTrainer(), .memory = std::nullopt}).has_value());
  return {};
}

// The next message, or why there is none.
CommandFitter::Attempt CommandFitter::Next(const AppContext& app_ctx) {
  ProgramEvent event = program_->Wait([&] { return app_ctx.abort.IsSet(); });
  if (auto* message = std::get_if<LocalMessage>(&event)) return std::move(*message);
  if (auto* ended = std::get_if<ProgramEnded>(&event)) return Lost{title_ + " " + ended->how};
  if (auto* stalled = std::get_if<ProgramStalled>(&event)) {
    program_->Kill();
    return Lost{title_ + " " + stalled->how};
  }
  if (auto* broken = std::get_if<ProgramBroken>(&event)) {
    program_->Kill();
    return Lost{broken->why.message()};
  }
  Abort();
  return Cancelled(title_ + " was stopped");
}

// It may answer and live on, for the next task; one that does not look is ended.
void CommandFitter::Abort() {
  static_cast<void>(program_->Send({.header = AbortForTrainer(task_), .memory = std::nullopt}).has_value());
  const auto end = program_->waited() + options_.abort_patience;
  while (program_->running()) {
    const ProgramEvent event = program_->Wait([&] { return program_->waited() >= end; });
    const auto* message = std::get_if<LocalMessage>(&event);
    if (message == nullptr) break;
    const std::string type = TypeOf(*message);
    const bool is_answer = type == "result" || type == "failed" || type == "cancelled";
    if (is_answer && TaskOf(*message) == task_) return;
  }
  End();
}

void CommandFitter::End() {
  program_->Signal(SIGTERM);
  if (!program_->WaitForEnd(options_.abort_patience)) program_->Kill();
}

void CommandFitter::Close() {
  if (program_ == nullptr || !program_->running()) return;
  static_cast<void>(program_->Send({.header = CloseForTrainer(), .memory = std::nullopt}).has_value());
  if (!program_->WaitForEnd(options_.abort_patience)) End();
}

}  // namespace fed_learn
