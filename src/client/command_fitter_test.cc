#include "client/command_fitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/components.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A trainer without fed_learn's Python package, so that it can also lie: the words of docs/local_channel.md by hand.
constexpr char kChannel[] = R"(
import fcntl, json, mmap, os, signal, socket, struct, sys, time
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=int(os.environ["FED_LEARN_CHANNEL_FD"]))

def send(header, data=None, seals=15):
    body = json.dumps(header).encode()
    frame = struct.pack("<4sII", b"FLC1", len(body), 0 if data is None else 1) + body
    if data is None:
        sock.sendall(frame)
        return
    memory = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, len(data))
    os.pwrite(memory, data, 0)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    socket.send_fds(sock, [frame], [memory])
    os.close(memory)

def receive():
    head, fds, _, _ = socket.recv_fds(sock, 12, 1)
    if not head:
        sys.exit(0)
    _, length, _ = struct.unpack("<4sII", head)
    message = json.loads(sock.recv(length, socket.MSG_WAITALL))
    if fds:
        size = os.fstat(fds[0]).st_size
        message["data"] = mmap.mmap(fds[0], size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) if size else b""
        os.close(fds[0])
    return message

def task():
    message = {}
    while message.get("type") != "task":
        message = receive()
        if message["type"] == "close":
            sys.exit(0)
    return message

def entry(shape, **changes):
    length = 4
    for size in shape:
        length *= size
    return {"name": "w", "dtype": "f32", "shape": shape, "offset": 0, "length": length, **changes}

def result(task, values, **changes):
    data = struct.pack("<%df" % len(values), *values)
    header = {"type": "result", "task": task["task"], "n_iter": 10, "metrics": {"train": {"loss": 0.5}},
              "model": {"tensors": [entry([len(values)])]}, **changes}
    send(header, data)

send({"type": "hello", "versions": [1]})
)";

class CommandFitterTest : public ::testing::Test {
 protected:
  CommandFitterTest() {
    std::string name = (std::filesystem::temp_directory_path() / "command_fitter_test_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    EXPECT_TRUE(global_.Add("w", Tensor::Of<float>({3}, std::vector<float>{1, 2, 3}), Role::kBuffer).has_value());
    options_.command = {"/usr/bin/python3", "train.py"};
    options_.working_directory = folder_;
    options_.restarts = 0;
    options_.abort_patience = std::chrono::milliseconds(300);
    app_ctx_.client_name = "site_1";
    app_ctx_.current_round = 4;
    app_ctx_.seed = 7;
  }
  ~CommandFitterTest() override {
    fitter_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const std::string& script, const std::string& before = kChannel) {
    std::ofstream(folder_ + "/train.py") << before << script;
    fitter_ = std::make_unique<CommandFitter>(options_);
    const Status initialized = fitter_->Initialize(app_ctx_);
    EXPECT_TRUE(initialized.has_value()) << initialized.error().message();
  }

  Result<FitResult> Fit() {
    return fitter_->Fit(global_, app_ctx_, [this](const FitProgress& progress) { progress_.push_back(progress); });
  }

  // "kind: message"
  std::string FitError() {
    const auto result = Fit();
    return result.has_value() ? "fitted"
                              : std::string(ToString(result.error().kind())) + ": " + result.error().message();
  }

  std::string ErrorOf(const std::string& script) {
    Write(script);
    return FitError();
  }

  std::string Read(const std::string& file) const {
    std::ifstream in(folder_ + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string folder_;
  ModelData global_;
  AppContext app_ctx_;
  CommandFitterOptions options_;
  std::unique_ptr<CommandFitter> fitter_;
  std::vector<FitProgress> progress_;
};

TEST_F(CommandFitterTest, TrainsRoundAfterRound) {
  Write(R"(
while True:
    t = task()
    assert (t["kind"], t["round"], t["client_name"]) == ("train", 4, "site_1"), t
    send({"type": "progress", "task": t["task"], "done": 0.5, "note": "half"})
    values = struct.unpack("<3f", t["data"][:12])
    result(t, [value + 1 for value in values])
)");
  for (int round = 0; round < 3; ++round) {
    const auto result = Fit();
    ASSERT_TRUE(result.has_value()) << result.error().message();
    EXPECT_EQ(result->kind, UpdateKind::kDifference);
    EXPECT_EQ(result->n_iter, 10);
    EXPECT_EQ(result->metrics.GetGroup("train")->at("loss"), 0.5);
    ASSERT_EQ(result->update.size(), 1u);
    EXPECT_EQ(result->update[0].role, Role::kBuffer);
    EXPECT_TRUE(result->update[0].tensor == Tensor::Of<float>({3}, std::vector<float>{1, 1, 1}));
  }
  ASSERT_EQ(progress_.size(), 3u);
  EXPECT_EQ(progress_[0].note, "half");
  fitter_->Close();
}

TEST_F(CommandFitterTest, DifferencesAreTakenAsTheyAre) {
  Write(R"(result(task(), [4.0, 5.0, 6.0], kind="difference"))");
  const auto result = Fit();
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->update[0].tensor == Tensor::Of<float>({3}, std::vector<float>{4, 5, 6}));
}

TEST_F(CommandFitterTest, ValidationGivesMetrics) {
  Write(R"(
t = task()
assert t["kind"] == "validate"
send({"type": "result", "task": t["task"], "metrics": {"validation": {"accuracy": 0.75}}})
)");
  const auto metrics = fitter_->Validate(global_, app_ctx_);
  ASSERT_TRUE(metrics.has_value()) << metrics.error().message();
  EXPECT_EQ(metrics->GetGroup("validation")->at("accuracy"), 0.75);
}

TEST_F(CommandFitterTest, EmptyModelIsTrained) {
  global_ = ModelData();
  Write(R"(t = task(); send({"type": "result", "task": t["task"], "n_iter": 1, "model": {"tensors": []}}, b""))");
  const auto result = Fit();
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->update.empty());
}

TEST_F(CommandFitterTest, UnknownProgramIsAnErrorOfInitialize) {
  options_.command = {"pyton3", "train.py"};
  fitter_ = std::make_unique<CommandFitter>(options_);
  const Status initialized = fitter_->Initialize(app_ctx_);
  ASSERT_FALSE(initialized.has_value());
  EXPECT_THAT(initialized.error().message(), StartsWith("trainer 'pyton3 train.py': there is no program 'pyton3'"));
}

TEST_F(CommandFitterTest, ExitInTheMiddleIsReportedWithTheLastLines) {
  EXPECT_EQ(ErrorOf(R"(
task()
print("loading data")
print("no file data.csv", file=sys.stderr)
sys.exit(3)
)"),
            "unavailable: trainer '/usr/bin/python3 train.py' exited with code 3; its last lines: loading data | no "
            "file data.csv");
}

TEST_F(CommandFitterTest, DeathInTheMiddleIsReported) {
  EXPECT_EQ(ErrorOf("task(); print('step 1'); os.kill(os.getpid(), signal.SIGKILL)"),
            "unavailable: trainer '/usr/bin/python3 train.py' died with signal 9 (SIGKILL); its last lines: step 1");
}

TEST_F(CommandFitterTest, ErrorBeforeTheFirstTaskIsReported) {
  Write("import no_such_module", "");
  EXPECT_THAT(FitError(), AllOf(HasSubstr("exited with code 1"), HasSubstr("No module named 'no_such_module'")));
}

TEST_F(CommandFitterTest, TaskIsDoneAgainAfterARestart) {
  options_.restarts = 2;
  Write(R"(
t = task()
with open("tries", "a") as f:
    f.write("%d %d\n" % (t["round"], t["seed"]))
if len(open("tries").readlines()) < 3:
    os.kill(os.getpid(), signal.SIGKILL)
result(t, [1.0, 2.0, 3.0])
)");
  EXPECT_EQ(FitError(), "fitted");
  const std::string tries = Read("tries");
  const std::string first = tries.substr(0, tries.find('\n') + 1);
  EXPECT_EQ(tries, first + first + first) << "each try gets the same round and seed";
}

TEST_F(CommandFitterTest, RestartsEnd) {
  options_.restarts = 2;
  EXPECT_THAT(ErrorOf("open('tries', 'a').write('x'); sys.exit(1)"), HasSubstr("(after 2 restarts)"));
  EXPECT_EQ(Read("tries"), "xxx");
}

TEST_F(CommandFitterTest, ProgramForOneTaskIsStartedForEach) {
  Write("t = task(); result(t, [1.0, 2.0, 3.0]); print('done'); sys.stdout.close()");
  EXPECT_EQ(FitError(), "fitted");
  options_.restarts = 1;  // it may still be about to end
  Write("t = task(); result(t, [1.0, 2.0, 3.0])");
  for (int round = 0; round < 3; ++round) EXPECT_EQ(FitError(), "fitted");
}

TEST_F(CommandFitterTest, HangingTrainerIsKilledAndReported) {
  options_.trainer_stall_timeout = std::chrono::seconds(1);
  EXPECT_THAT(
      ErrorOf("task(); print('waiting for the data'); open('pid', 'w').write(str(os.getpid())); signal.pause()"),
      AllOf(StartsWith("unavailable: trainer '/usr/bin/python3 train.py' has made no progress for 1 s"),
            HasSubstr("waiting for the data")));
  EXPECT_EQ(::kill(std::stoi(Read("pid")), 0), -1);
}

TEST_F(CommandFitterTest, MessagesAreProgress) {
  options_.trainer_stall_timeout = std::chrono::seconds(1);
  options_.activity = [](pid_t) { return ProcessActivity{}; };
  Write(R"(
t = task()
for i in range(15):
    send({"type": "progress", "task": t["task"], "done": i / 15})
    time.sleep(0.1)
result(t, [1.0, 2.0, 3.0])
)");
  EXPECT_EQ(FitError(), "fitted");
}

TEST_F(CommandFitterTest, ReasonOfATaskThatCannotBeDoneIsTold) {
  EXPECT_EQ(ErrorOf(R"(t = task(); send({"type": "failed", "task": t["task"], "message": "no data\nat all"}); task())"),
            "failed_precondition: trainer '/usr/bin/python3 train.py' could not do its task: no data\\nat all");
}

TEST_F(CommandFitterTest, OtherShapeIsRefusedWithBoth) {
  EXPECT_EQ(ErrorOf("result(task(), [1.0, 2.0]); task()"),
            "invalid_argument: trainer '/usr/bin/python3 train.py': sent tensor 'w' with shape [2]; the model has it "
            "with shape [3]");
}

TEST_F(CommandFitterTest, OtherDtypeIsRefusedWithBoth) {
  EXPECT_THAT(ErrorOf(R"(result(task(), [1., 2., 3.], model={"tensors": [entry([3], dtype="i32")]}); task())"),
              HasSubstr("sent tensor 'w' as i32; the model has it as f32"));
}

TEST_F(CommandFitterTest, UnknownTensorIsRefused) {
  EXPECT_THAT(ErrorOf(R"(result(task(), [1., 2., 3.], model={"tensors": [entry([3], name="v")]}); task())"),
              HasSubstr("sent tensor 'v', which the model does not have"));
}

TEST_F(CommandFitterTest, ResultWithoutTensorsIsRefused) {
  EXPECT_THAT(ErrorOf(R"(result(task(), [], model={"tensors": []}); task())"), HasSubstr("without any tensor"));
}

TEST_F(CommandFitterTest, LieAboutASizeIsRefused) {
  EXPECT_THAT(ErrorOf(R"(result(task(), [1.0], model={"tensors": [entry([3])]}); task())"),
              HasSubstr("tensor 'w': bytes 0 to +12 lie outside the memory of 4 bytes"));
}

TEST_F(CommandFitterTest, MemoryThatCouldStillChangeIsRefused) {
  EXPECT_THAT(ErrorOf(R"(send({"type": "result", "task": task()["task"]}, b"1234", seals=0); task())"),
              HasSubstr("the attached memory is not sealed"));
}

TEST_F(CommandFitterTest, GarbageOnTheChannelEndsTheTrainer) {
  options_.restarts = 1;
  EXPECT_THAT(ErrorOf("task(); sock.sendall(b'\\xff' * 100); signal.pause()"),
              AllOf(HasSubstr("sent what is not a frame"), HasSubstr("(after 1 restarts)")));
}

TEST_F(CommandFitterTest, OtherVersionIsRefused) {
  Write("", std::string(kChannel).replace(std::string(kChannel).find("[1]"), 3, "[9]"));
  EXPECT_THAT(FitError(), HasSubstr("does not speak version 1"));
}

TEST_F(CommandFitterTest, AbortIsAnsweredAndTheProgramLivesOn) {
  Write(R"(
t = task()
send({"type": "progress", "task": t["task"]})
message = receive()
assert message == {"type": "abort", "task": t["task"]}, message
send({"type": "cancelled", "task": t["task"]})
t = task()
result(t, [float(os.getpid()), 0.0, 0.0], kind="difference")
)");
  options_.abort_patience = std::chrono::seconds(60);
  fitter_.reset();
  fitter_ = std::make_unique<CommandFitter>(options_);
  const auto result = fitter_->Fit(global_, app_ctx_, [this](const FitProgress&) { app_ctx_.abort.Set(); });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
  app_ctx_.abort = AbortSignal();
  EXPECT_EQ(FitError(), "fitted");
}

TEST_F(CommandFitterTest, TrainerThatDoesNotHearTheAbortIsKilled) {
  Write(R"(
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("pid", "w").write(str(os.getpid()))
t = task()
send({"type": "progress", "task": t["task"]})
while True:
    signal.pause()
)");
  const auto result = fitter_->Fit(global_, app_ctx_, [this](const FitProgress&) { app_ctx_.abort.Set(); });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
  EXPECT_EQ(::kill(std::stoi(Read("pid")), 0), -1);
}

TEST_F(CommandFitterTest, CloseLetsTheProgramFinish) {
  options_.abort_patience = std::chrono::seconds(60);
  Write(R"(
result(task(), [1.0, 2.0, 3.0])
assert receive() == {"type": "close"}
open("saved", "w").write("yes")
)");
  EXPECT_EQ(FitError(), "fitted");
  fitter_->Close();
  EXPECT_EQ(Read("saved"), "yes");
}

TEST_F(CommandFitterTest, FitterThatGoesTakesTheProgramAlong) {
  Write(R"(open("pid", "w").write(str(os.getpid())); result(task(), [1.0, 2.0, 3.0]); signal.pause())");
  EXPECT_EQ(FitError(), "fitted");
  fitter_.reset();
  EXPECT_EQ(::kill(std::stoi(Read("pid")), 0), -1);
}

TEST(CommandFitterArgsTest, ArgumentsAreChecked) {
  const auto refusal = [](const Json& args) {
    const auto fitter = CommandFitter::FromArgs(args, "/app");
    return fitter.has_value() ? "accepted" : fitter.error().message();
  };
  EXPECT_EQ(refusal({{"command", {"python3", "train.py"}}, {"restarts", 0}, {"trainer_stall_timeout", 60}}),
            "accepted");
  EXPECT_THAT(refusal(Json::object()), HasSubstr("command"));
  EXPECT_THAT(refusal({{"command", "python3 train.py"}}), HasSubstr("command"));
  EXPECT_THAT(refusal({{"command", Json::array()}}), HasSubstr("command"));
  EXPECT_THAT(refusal({{"command", {""}}}), HasSubstr("command"));
  EXPECT_THAT(refusal({{"command", {"a"}}, {"restarts", -1}}), HasSubstr("restarts"));
  EXPECT_THAT(refusal({{"command", {"a"}}, {"trainer_stall_timeout", 0}}), HasSubstr("trainer_stall_timeout"));
  EXPECT_THAT(refusal({{"command", {"a"}}, {"environment", {{"A=B", "c"}}}}), HasSubstr("environment"));
  EXPECT_THAT(refusal({{"command", {"a"}}, {"comand", {"b"}}}), HasSubstr("comand"));
}

TEST(CommandFitterArgsTest, RegisteredByName) {
  Registry registry;
  RegisterClientComponents(registry);
  const ComponentServices services{.disk = nullptr, .app_folder = "/app", .run_folder = ""};
  EXPECT_TRUE(registry.fitters.Make({.name = "CommandFitter", .args = {{"command", {"a"}}}}, services).has_value());
}

}  // namespace
}  // namespace fed_learn
