#include "trainers/tabular_fitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "base/simulated_disk.h"
#include "trainers/components.h"
#include "trainers/tabular_experiment.h"
#include "trainers/tabular_model_source.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two sites with 30 rows each for training and 10 for validation: class 1 where x0 + x1 > 0, time falling with x0 + x1.
std::string Rows() {
  Random random(4);
  std::string text = "site,x0,x1,label,event,time\n";
  for (int i = 0; i < 80; ++i) {
    const double x0 = random.Normal();
    const double x1 = random.Normal();
    const std::string site = (i % 2 == 0 ? "north" : "south") + std::string(i < 60 ? "" : "_test");
    text += site + "," + std::to_string(x0) + "," + std::to_string(x1) + "," + (x0 + x1 > 0 ? "1" : "0") + "," +
            (random.Chance(0.7) ? "1" : "0") + "," + std::to_string(100 - 10 * (x0 + x1)) + "\n";
  }
  return text;
}

class TabularFitterTest : public ::testing::Test {
 protected:
  TabularFitterTest() {
    EXPECT_TRUE(WriteFileAtomically(disk_, "rows.csv", Rows()).has_value());
    app_ctx_.client_name = "north";
    app_ctx_.seed = 11;
    app_ctx_.steps_aggregation = 20;
  }

  static Json LogisticArgs() {
    return Json::parse(R"({
      "data": "rows.csv", "features": ["x0", "x1"], "target": "label", "loss": "logistic", "batch_size": 8,
      "optimizer": {"name": "SGD", "args": {"lr": 0.5}},
      "split": {"column": "site"},
      "sites": {"north": {"split": {"train": "north", "validation": "north_test"}},
                "south": {"split": {"train": "south", "validation": "south_test"}}}})");
  }
  static Json CoxArgs() {
    Json args = LogisticArgs();
    args["loss"] = "cox";
    args["target"] = {"event", "time"};
    return args;
  }

  std::unique_ptr<Fitter> Started(const Json& args) {
    auto fitter = std::make_unique<TabularFitter>(args, Services());
    const Status status = fitter->Initialize(app_ctx_);
    EXPECT_TRUE(status.has_value()) << status.error().message();
    return fitter;
  }

  std::string InitializeError(const Json& args) {
    const Status status = TabularFitter(args, Services()).Initialize(app_ctx_);
    EXPECT_FALSE(status.has_value()) << args;
    return status.has_value() ? "" : status.error().message();
  }

  ComponentServices Services() { return {.disk = &disk_, .app_folder = "", .run_folder = ""}; }

  static ModelData Model(std::vector<std::int64_t> hidden = {}, std::int64_t inputs = 2) {
    return TabularModelSource({.inputs = inputs, .hidden = std::move(hidden), .outputs = 1, .seed = 1}).Build().value();
  }

  static ModelData Sum(const ModelData& model, const ModelData& difference) {
    ModelData sum = model.Clone();
    for (const NamedTensor& tensor : model) {
      const auto a = tensor.tensor.values<float>();
      const auto b = difference.Find(tensor.name)->tensor.values<float>();
      std::vector<float> values(a.begin(), a.end());
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += b[i];
      EXPECT_TRUE(sum.Set(tensor.name, Tensor::Of<float>(tensor.tensor.shape(), values)).has_value());
    }
    return sum;
  }

  static double Metric(const MetricManager& metrics, const char* group, const char* name) {
    const auto found = metrics.GetGroup(group);
    EXPECT_TRUE(found.has_value() && found->contains(name)) << group << "/" << name;
    return found.has_value() && found->contains(name) ? found->at(name) : -1;
  }

  SimulatedDisk disk_;
  AppContext app_ctx_;
};

TEST_F(TabularFitterTest, RoundsMakeTheModelBetter) {
  for (const auto& [args, metric] : {std::pair(LogisticArgs(), "accuracy"), std::pair(CoxArgs(), "c_index")}) {
    for (const std::vector<std::int64_t>& hidden : {std::vector<std::int64_t>{}, {8}}) {
      const auto fitter = Started(args);
      ModelData model = Model(hidden);
      const double loss_before = Metric(fitter->Validate(model, app_ctx_).value(), "validation", "loss");
      for (app_ctx_.current_round = 0; app_ctx_.current_round < 5; ++app_ctx_.current_round) {
        const auto result = fitter->Fit(model, app_ctx_, nullptr);
        ASSERT_TRUE(result.has_value()) << result.error().message();
        model = Sum(model, result->update);
      }
      const auto after = fitter->Validate(model, app_ctx_).value();
      EXPECT_LT(Metric(after, "validation", "loss"), loss_before);
      EXPECT_GE(Metric(after, "validation", metric), 0.9);
    }
  }
}

TEST_F(TabularFitterTest, ResultSaysWhatWasDone) {
  const auto result = Started(LogisticArgs())->Fit(Model(), app_ctx_, nullptr).value();
  EXPECT_EQ(result.kind, UpdateKind::kDifference);
  EXPECT_EQ(result.n_iter, 20);
  EXPECT_GT(Metric(result.metrics, "train", "loss"), 0);
  ASSERT_EQ(result.update.size(), 2u);
  EXPECT_EQ(result.update[0].name, "layers.0.weight");
  EXPECT_EQ(result.update[0].tensor.shape(), (Shape{1, 2}));
}

TEST_F(TabularFitterTest, EpochsCountWhereStepsAreNotGiven) {
  app_ctx_.steps_aggregation = 0;
  for (const auto& [epochs, steps] : {std::pair(0, 4), std::pair(1, 4), std::pair(3, 12)}) {
    app_ctx_.local_epochs = epochs;  // of 30 rows in batches of 8
    EXPECT_EQ(Started(LogisticArgs())->Fit(Model(), app_ctx_, nullptr).value().n_iter, steps);
  }
}

TEST_F(TabularFitterTest, SameModelRoundAndSeedGiveTheSameBits) {
  const auto fitter = Started(CoxArgs());
  app_ctx_.current_round = 3;
  const ModelData first = fitter->Fit(Model({4}), app_ctx_, nullptr).value().update;
  EXPECT_EQ(fitter->Fit(Model({4}), app_ctx_, nullptr).value().update, first);
  EXPECT_EQ(Started(CoxArgs())->Fit(Model({4}), app_ctx_, nullptr).value().update, first);
}

TEST_F(TabularFitterTest, SeedRoundAndSiteDecideTheBatches) {
  const auto fitter = Started(LogisticArgs());
  app_ctx_.steps_aggregation = 1;
  const ModelData first = fitter->Fit(Model(), app_ctx_, nullptr).value().update;
  app_ctx_.current_round = 1;
  EXPECT_FALSE(fitter->Fit(Model(), app_ctx_, nullptr).value().update == first);
  app_ctx_.current_round = 0;
  app_ctx_.seed = 12;
  EXPECT_FALSE(fitter->Fit(Model(), app_ctx_, nullptr).value().update == first);
  app_ctx_.seed = 11;
  app_ctx_.client_name = "south";
  EXPECT_FALSE(Started(LogisticArgs())->Fit(Model(), app_ctx_, nullptr).value().update == first);
}

TEST_F(TabularFitterTest, ProgressIsToldStepByStep) {
  std::vector<double> done;
  std::string last;
  app_ctx_.steps_aggregation = 4;
  ASSERT_TRUE(Started(LogisticArgs())
                  ->Fit(Model(), app_ctx_,
                        [&](const FitProgress& progress) {
                          done.push_back(progress.done);
                          last = progress.note;
                        })
                  .has_value());
  EXPECT_THAT(done, ElementsAre(0.25, 0.5, 0.75, 1));
  EXPECT_EQ(last, "step 4 of 4");
}

TEST_F(TabularFitterTest, AbortStopsTrainingAfterTheStep) {
  int steps = 0;
  const auto result = Started(LogisticArgs())->Fit(Model(), app_ctx_, [&](const FitProgress&) {
    if (++steps == 3) app_ctx_.abort.Set();
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kCancelled);
  EXPECT_EQ(steps, 3);
}

TEST_F(TabularFitterTest, TooLargeALearningRateIsNamed) {
  Json args = LogisticArgs();
  args["loss"] = "squared";
  args["optimizer"]["args"]["lr"] = 1e200;
  const auto result = Started(args)->Fit(Model(), app_ctx_, nullptr);
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error().message(), AllOf(HasSubstr("of 20"), HasSubstr("optimizer.args.lr")));
}

TEST_F(TabularFitterTest, ModelThatDoesNotFitTheDataIsRefused) {
  const auto fitter = Started(LogisticArgs());
  EXPECT_THAT(fitter->Fit(Model({}, 3), app_ctx_, nullptr).error().message(), HasSubstr("takes 3 features"));
  EXPECT_THAT(fitter->Validate(Model({}, 3), app_ctx_).error().message(), HasSubstr("has 2"));
}

TEST_F(TabularFitterTest, WithoutValidationRowsThereAreNoMetrics) {
  Json args = LogisticArgs();
  args["sites"]["north"]["split"]["validation"] = Json::array();
  EXPECT_TRUE(Started(args)->Validate(Model(), app_ctx_).value().ToMap().empty());
}

TEST_F(TabularFitterTest, ClosedFitterNeedsInitialize) {
  const auto fitter = Started(LogisticArgs());
  fitter->Close();
  EXPECT_EQ(fitter->Fit(Model(), app_ctx_, nullptr).error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_EQ(fitter->Validate(Model(), app_ctx_).error().kind(), ErrorKind::kFailedPrecondition);
}

TEST_F(TabularFitterTest, WrongArgumentsAreNamed) {
  Json args = LogisticArgs();
  args["loss"] = "logistics";
  EXPECT_THAT(InitializeError(args), HasSubstr("'logistic'"));
  args = LogisticArgs();
  args.erase("loss");
  EXPECT_THAT(InitializeError(args), HasSubstr("args.loss is missing"));
  args = LogisticArgs();
  args["batch_size"] = 0;
  EXPECT_THAT(InitializeError(args), HasSubstr("args.batch_size"));
  args = LogisticArgs();
  args["batchsize"] = 8;
  EXPECT_THAT(InitializeError(args), HasSubstr("'batch_size'"));
  app_ctx_.client_name = "nord";
  EXPECT_THAT(InitializeError(LogisticArgs()), HasSubstr("'nord'"));
}

TEST_F(TabularFitterTest, RegistryMakesFitterAndModel) {
  Registry registry;
  RegisterTrainersComponents(registry);
  EXPECT_TRUE(registry.fitters.Make({.name = "TabularFitter", .args = LogisticArgs()}, Services()).has_value());
  EXPECT_TRUE(registry.sources.Make({.name = "TabularModel", .args = {{"inputs", 2}}}, Services()).has_value());
}

TEST_F(TabularFitterTest, ExperimentTrainsOnWhomItIsTold) {
  const auto experiment = TabularExperiment::Load(LogisticArgs(), Services()).value();
  EXPECT_THAT(experiment.sites(), ElementsAre("north", "south"));
  const TabularTraining training{.steps = 100, .seed = 1, .optimizer = OptimizerOptions{.learning_rate = 0.5}};
  const ModelData pooled = experiment.Train(Model(), experiment.sites(), training).value();
  EXPECT_EQ(experiment.Train(Model(), experiment.sites(), training).value(), pooled);
  EXPECT_FALSE(experiment.Train(Model(), {"north"}, training).value() == pooled);
  EXPECT_GE(experiment.Evaluate(pooled, experiment.sites()).value().at("accuracy"), 0.9);
  EXPECT_EQ(experiment.Train(Model(), {"north"}, {}).value(), Model());
}

TEST_F(TabularFitterTest, ExperimentAgreesWithTheFitter) {
  const auto experiment = TabularExperiment::Load(CoxArgs(), Services()).value();
  const auto of_fitter = Started(CoxArgs())->Validate(Model(), app_ctx_).value();
  EXPECT_EQ(experiment.Evaluate(Model(), {"north"}).value(), of_fitter.GetGroup("validation").value());
}

TEST_F(TabularFitterTest, ExperimentNeedsSites) {
  Json args = LogisticArgs();
  const auto experiment = TabularExperiment::Load(args, Services()).value();
  EXPECT_THAT(experiment.Evaluate(Model(), {"nort"}).error().message(), HasSubstr("'north'"));
  EXPECT_FALSE(experiment.Evaluate(Model(), {}).has_value());
  args["sites"]["south"]["features"] = {"x0"};
  EXPECT_THAT(TabularExperiment::Load(args, Services()).error().message(), HasSubstr("south: args.features"));
  args.erase("sites");
  EXPECT_THAT(TabularExperiment::Load(args, Services()).error().message(), HasSubstr("args.sites"));
}

}  // namespace
}  // namespace fed_learn
