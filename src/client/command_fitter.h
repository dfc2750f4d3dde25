// CommandFitter: trains with a program of the user's, in whatever language, over the local channel
// (docs/local_channel.md; in Python: `for task in fed_learn.tasks(): …`).
//
// The program starts at Initialize and serves round after round. If it dies, hangs or talks nonsense in the middle of a
// task, it is started again and gets the same task, with the same seed. How a program that hangs is told from one that
// takes long, and what it gets to see of us: child_program.h, trainer_environment.h.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "client/trainer_messages.h"
#include "components/fitter.h"
#include "components/registry.h"
#include "transport/local/child_program.h"

namespace fed_learn {

struct CommandFitterOptions {
  std::vector<std::string> command;                // the program and its arguments
  std::string working_directory;                   // empty: ours
  std::map<std::string, std::string> environment;  // variables for the program, besides those passed on
  int restarts = 2;                                // of a task that the program did not finish, in a row
  std::chrono::duration<double> trainer_stall_timeout{600};
  std::chrono::duration<double> abort_patience{5};  // between asking, SIGTERM and SIGKILL
  ActivityReader activity = ActivityOfDescendants;
};

class CommandFitter : public Fitter {
 public:
  // From {"command": ["python3", "train.py"], "working_directory": …, "environment": {"NAME": "value"}, "restarts": 2,
  // "trainer_stall_timeout": 600}; only "command" must be there. A relative working directory starts in `app_folder`,
  // which is also the default. InvalidArgument, naming the argument, for anything else.
  static Result<std::unique_ptr<CommandFitter>> FromArgs(const Json& args, const std::string& app_folder);

  explicit CommandFitter(CommandFitterOptions options);
  ~CommandFitter() override;  // kills the program

  // Starts the program. NotFound if there is none, or no such folder. Does not wait until the program is ready.
  Status Initialize(const AppContext& app_ctx) override;

  // The update is always differences, in the order of the global model.
  //   InvalidArgument:    the program sent a tensor that the global model lacks, another dtype or shape, no n_iter, …
  //   FailedPrecondition: the program said that it cannot do the task; its reason
  //   Unavailable:        it died, hung or talked nonsense 1 + `restarts` times; the last reason, with its last lines
  //   Cancelled:          the abort signal was set
  Result<FitResult> Fit(const ModelData& global, const AppContext& app_ctx,
                        const std::function<void(const FitProgress&)>& on_progress) override;

  Result<MetricManager> Validate(const ModelData& model, const AppContext& app_ctx) override;

  // Asks the program to end, and ends it.
  void Close() override;

 private:
  struct Lost {
    std::string how;  // one line that begins with the program's title
  };
  using Attempt = std::variant<LocalMessage, Lost, Error>;

  Status EnsureRunning();
  Status CatchUp();
  Result<LocalMessage> Run(TrainerTask task, const ModelData& model, const AppContext& app_ctx,
                           const std::function<void(const FitProgress&)>& on_progress);
  Attempt Try(TrainerTask task, const ModelData& model, const AppContext& app_ctx,
              const std::function<void(const FitProgress&)>& on_progress);
  Attempt Next(const AppContext& app_ctx);
  Status Greet(const LocalMessage& hello);
  void Abort();
  void End();
  Result<FitResult> ReadFit(const LocalMessage& answer, const ModelData& global) const;

  CommandFitterOptions options_;
  std::string title_;
  std::unique_ptr<ChildProgram> program_;
  bool greeted_ = false;
  std::uint64_t task_ = 0;
};

}  // namespace fed_learn
