// CommandFitter with the Python package fed_learn, as users have it. Debian's python3 with python3-numpy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/command_fitter.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPython[] = "/usr/bin/python3";

std::filesystem::path SourceFolder() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
}

bool HasNumpy() {
  static const bool has = std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") == 0;
  return has;
}

class CommandFitterPythonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasNumpy()) GTEST_SKIP() << "/usr/bin/python3 has no NumPy; install python3-numpy";
    std::string name = (std::filesystem::temp_directory_path() / "command_fitter_python_test_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    options_.command = {kPython, "-u", "train.py"};
    options_.working_directory = folder_;
    options_.environment = {{"PYTHONPATH", (SourceFolder() / "python").string()}, {"PYTHONDONTWRITEBYTECODE", "1"}};
    options_.restarts = 0;
    app_ctx_.client_name = "site_1";
  }
  void TearDown() override {
    fitter_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const std::string& script) {
    std::ofstream(folder_ + "/train.py") << "import fed_learn, numpy as np, os, sys\n" << script;
    fitter_ = std::make_unique<CommandFitter>(options_);
  }

  Result<FitResult> Fit(const ModelData& global) {
    return fitter_->Fit(global, app_ctx_, [this](const FitProgress&) { on_progress_(); });
  }

  std::string ErrorOf(const std::string& script) {
    Write(script);
    const auto result = Fit(Small());
    return result.has_value() ? "fitted" : result.error().message();
  }

  static ModelData Small() {
    ModelData model;
    EXPECT_TRUE(model.Add("w", Tensor::Of<float>({2, 2}, std::vector<float>{1, 2, 3, 4})).has_value());
    return model;
  }

  std::string folder_;
  CommandFitterOptions options_;
  AppContext app_ctx_;
  std::unique_ptr<CommandFitter> fitter_;
  std::function<void()> on_progress_ = [] {};
};

TEST_F(CommandFitterPythonTest, EveryDtypeAndShapeMakesTheRoundTrip) {
  ModelData global;
  for (int dtype = 0; dtype <= static_cast<int>(DType::kBool); ++dtype) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 0, 2}, Shape{2, 3, 5}}) {
      const auto type = static_cast<DType>(dtype);
      Tensor tensor = Tensor::Zeros(type, shape);
      std::ranges::fill(tensor.mutable_bytes(), std::byte{1});
      ASSERT_TRUE(global.Add(std::string(ToString(type)) + ToString(shape), tensor, Role::kBuffer).has_value());
    }
  }
  Write(R"(
for task in fed_learn.tasks():
    assert all(role == "buffer" for role in task.roles.values())
    assert task.model["bf16[3]"].dtype == np.uint16 and task.dtypes["bf16[3]"] == "bf16"
    task.submit(update=task.model, n_iter=1)
)");
  const auto result = Fit(global);
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->update == global);
}

TEST_F(CommandFitterPythonTest, WeightsBecomeDifferences) {
  Write(R"(
print("prints do not disturb", flush=True)
for task in fed_learn.tasks():
    task.submit({"w": task.model["w"].T}, n_iter=np.int64(7), metrics={"loss": np.float32(0.5), "worst": float("inf")})
)");
  for (int round = 0; round < 2; ++round) {
    const auto result = Fit(Small());
    ASSERT_TRUE(result.has_value()) << result.error().message();
    EXPECT_EQ(result->n_iter, 7);
    EXPECT_EQ(result->metrics.GetGroup("train")->at("loss"), 0.5);
    EXPECT_TRUE(result->update[0].tensor == Tensor::Of<float>({2, 2}, std::vector<float>{0, 1, -1, 0}));
  }
}

TEST_F(CommandFitterPythonTest, ValidationNeedsNoModel) {
  Write(R"(
for task in fed_learn.tasks():
    task.submit(metrics={"accuracy": task.model["w"].mean()})
)");
  const auto metrics = fitter_->Validate(Small(), app_ctx_);
  ASSERT_TRUE(metrics.has_value()) << metrics.error().message();
  EXPECT_EQ(metrics->GetGroup("validation")->at("accuracy"), 2.5);
}

TEST_F(CommandFitterPythonTest, LargeModelIsNotCopiedWhereItArrives) {
  ModelData global;
  ASSERT_TRUE(global.Add("w", Tensor::Zeros(DType::kF32, {64 << 20}), Role::kParameter).has_value());
  Write(R"(
for task in fed_learn.tasks():
    w = task.model["w"]
    assert not w.flags.owndata and not w.flags.writeable and w.nbytes == 256 << 20
    try:
        w[0] = 1
    except ValueError:
        pass
    else:
        raise AssertionError("the model can be written")
    task.submit(update={"w": w}, n_iter=1)
    private = sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:"))
    open("private_kb", "w").write(str(private))
)");
  const auto result = Fit(global);
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_EQ(result->update[0].tensor.byte_size(), 256u << 20);
  fitter_->Close();
  int private_kb = -1;
  std::ifstream(folder_ + "/private_kb") >> private_kb;
  EXPECT_GE(private_kb, 0);
  EXPECT_LT(private_kb, 128 << 10) << "no copy of 256 MB in memory of its own";
}

TEST_F(CommandFitterPythonTest, WrongShapeIsTheScriptsErrorAndTheReports) {
  options_.restarts = 2;
  EXPECT_THAT(ErrorOf("for task in fed_learn.tasks(): task.submit({'w': np.zeros(4, 'f4')}, n_iter=1)"),
              HasSubstr("could not do its task: tensor 'w' has shape [4]; the model has it with [2, 2]"));
}

TEST_F(CommandFitterPythonTest, WrongDtypeIsNamed) {
  EXPECT_THAT(ErrorOf("for task in fed_learn.tasks(): task.submit({'w': np.zeros((2, 2))}, n_iter=1)"),
              HasSubstr("tensor 'w' is f64; the model has it as f32"));
}

TEST_F(CommandFitterPythonTest, MissingWeightOfTheSiteIsAnError) {
  EXPECT_THAT(ErrorOf("for task in fed_learn.tasks(): task.submit(task.model)"),
              AllOf(HasSubstr("exited with code 1"), HasSubstr("n_iter must be the number of training steps")));
}

TEST_F(CommandFitterPythonTest, UnansweredTaskIsAnError) {
  EXPECT_THAT(ErrorOf("for task in fed_learn.tasks(): pass"), HasSubstr("the train task of round 0 was not answered"));
}

TEST_F(CommandFitterPythonTest, ExitInTheMiddleOfATaskIsReported) {
  EXPECT_THAT(ErrorOf("for task in fed_learn.tasks(): sys.exit('out of data')"),
              AllOf(HasSubstr("exited with code 1"), HasSubstr("out of data")));
}

TEST_F(CommandFitterPythonTest, ScriptThatLooksIsNotKilledByAnAbort) {
  options_.abort_patience = std::chrono::seconds(60);
  Write(R"(
for task in fed_learn.tasks():
    if task.round == 0:
        task.progress(0.1, "round 0")
        while not task.aborted:
            pass
        continue
    task.submit({"w": task.model["w"] + np.float32(os.getpid())}, n_iter=1)
)");
  on_progress_ = [this] { app_ctx_.abort.Set(); };
  const auto aborted = Fit(Small());
  ASSERT_FALSE(aborted.has_value());
  EXPECT_EQ(aborted.error().kind(), ErrorKind::kCancelled);
  app_ctx_.abort = AbortSignal();
  app_ctx_.current_round = 1;
  EXPECT_TRUE(Fit(Small()).has_value());
}

TEST_F(CommandFitterPythonTest, ScriptOutsideAClientIsTold) {
  const std::string command = "cd " + (SourceFolder() / "python").string() + " && PYTHONDONTWRITEBYTECODE=1 " +
                              kPython + " -c 'import fed_learn; next(fed_learn.tasks())' 2>" + folder_ + "/error";
  EXPECT_NE(std::system(command.c_str()), 0);
  std::ifstream error(folder_ + "/error");
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(error), {}),
              HasSubstr("was not started by a fedlearn client"));
}

TEST_F(CommandFitterPythonTest, ExampleLearns) {
  options_.working_directory = (SourceFolder() / "examples/numpy_trainer").string();
  fitter_ = std::make_unique<CommandFitter>(options_);
  ModelData global;
  ASSERT_TRUE(global.Add("layers.0.weight", Tensor::Zeros(DType::kF32, {1, 8})).has_value());
  ASSERT_TRUE(global.Add("layers.0.bias", Tensor::Zeros(DType::kF32, {1})).has_value());
  const auto first = Fit(global);
  ASSERT_TRUE(first.has_value()) << first.error().message();
  EXPECT_GT(first->metrics.GetGroup("train")->at("accuracy"), 0.75);
  const auto again = Fit(global);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(first->update == again->update) << "the same model, round and seed give the same bits";
}

}  // namespace
}  // namespace fed_learn
