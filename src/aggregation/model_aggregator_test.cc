#include "aggregation/model_aggregator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "aggregation/components.h"
#include "base/random.h"
#include "components/registry.h"

namespace fed_learn {
namespace {

template <typename T>
Tensor Values(const std::vector<T>& values) {
  return Tensor::Of<T>({static_cast<std::int64_t>(values.size())}, values);
}

ModelData ModelOf(std::vector<std::pair<std::string, Tensor>> tensors) {
  ModelData model;
  for (auto& [name, tensor] : tensors) EXPECT_TRUE(model.Add(name, tensor).has_value());
  return model;
}

ModelData W(std::vector<float> values) { return ModelOf({{"w", Values(values)}}); }

Contribution From(std::string site, double n_iter, ModelData update, int round = 0) {
  Contribution contribution;
  contribution.round = round;
  contribution.site = std::move(site);
  contribution.n_iter = n_iter;
  contribution.update = std::move(update);
  return contribution;
}

Contribution WithMetric(Contribution contribution, std::string_view group, const std::string& name, double value) {
  EXPECT_TRUE(contribution.metrics.AddGroup(group, {{name, value}}).has_value());
  return contribution;
}

std::string WrongBecause(const char* args) {
  const auto made = ModelAggregator::Make(Json::parse(args));
  EXPECT_FALSE(made.has_value()) << args;
  return made.has_value() ? "" : made.error().message();
}

class ModelAggregatorTest : public testing::Test {
 protected:
  void Make(const char* args) {
    auto made = ModelAggregator::Make(Json::parse(args));
    ASSERT_TRUE(made.has_value()) << made.error().message();
    aggregator_ = std::move(made).value();
  }
  void Begin(int round, const ModelData& model) {
    const auto begun = aggregator_->Begin(round, model);
    ASSERT_TRUE(begun.has_value()) << begun.error().message();
  }
  void Accept(const Contribution& contribution) {
    const auto accepted = aggregator_->Accept(contribution);
    ASSERT_TRUE(accepted.has_value()) << accepted.error().message();
  }
  Error Refuse(const Contribution& contribution) {
    const auto accepted = aggregator_->Accept(contribution);
    EXPECT_FALSE(accepted.has_value());
    return accepted.has_value() ? Internal("accepted") : accepted.error();
  }
  AggregateResult Finish() {
    auto result = aggregator_->Finish();
    EXPECT_TRUE(result.has_value()) << result.error().message();
    return std::move(result).value_or(AggregateResult());
  }

  std::unique_ptr<Aggregator> aggregator_;
};

TEST_F(ModelAggregatorTest, MeanIsWeightedByIterations) {
  Make("{}");
  Begin(0, W({1, 10}));
  Accept(From("a", 1, W({4, 0})));
  Accept(From("b", 3, W({0, 4})));
  EXPECT_EQ(aggregator_->count(), 2);
  EXPECT_TRUE(Finish().model == W({2, 13}));
}

TEST_F(ModelAggregatorTest, AggregationWeightsMultiplyTheIterations) {
  for (const auto& [args, expected] :
       std::vector<std::pair<const char*, float>>{{R"({"aggregation_weights": {"a": 2}})", 1 + 4.0F},
                                                  {R"({"aggregation_weights": {"a": 2}, "normalize": "n"})", 1 + 6.0F},
                                                  {R"({"aggregation_weights": {"a": 0, "b": 1}})", 1.0F}}) {
    Make(args);
    Begin(0, W({1}));
    Accept(From("a", 10, W({6})));
    Accept(From("b", 10, W({0})));
    EXPECT_TRUE(Finish().model == W({expected})) << args;
  }
}

TEST_F(ModelAggregatorTest, FullWeightsReplaceTheModel) {
  Make(R"({"expects": "weights"})");
  Begin(0, W({100}));
  Contribution contribution = From("a", 1, W({4}));
  EXPECT_EQ(Refuse(contribution).message(), "site 'a' sent differences, but the aggregator expects weights");
  contribution.kind = UpdateKind::kWeights;
  Accept(contribution);
  contribution.site = "b";
  contribution.update = W({6});
  Accept(contribution);
  EXPECT_TRUE(Finish().model == W({5}));
}

TEST_F(ModelAggregatorTest, SumOfWeightsZeroKeepsTheModel) {
  Make("{}");
  Begin(0, W({1}));
  Accept(From("a", 0, W({5})));
  EXPECT_TRUE(Finish().model == W({1}));
}

TEST_F(ModelAggregatorTest, ExcludedVariablesKeepTheGlobalValue) {
  Make(R"({"exclude_vars": "ead/"})");
  const ModelData start = ModelOf({{"head/w", Values<float>({1})}, {"body/w", Values<float>({1})}});
  Begin(0, start);
  Accept(From("a", 1, ModelOf({{"head/w", Values<float>({9, 9})}, {"body/w", Values<float>({2})}})));
  const ModelData result = Finish().model;
  EXPECT_EQ(result.Find("head/w")->tensor, Values<float>({1}));
  EXPECT_EQ(result.Find("body/w")->tensor, Values<float>({3}));
}

TEST_F(ModelAggregatorTest, RolesOverrideTheRules) {
  Make(R"({"roles": {"^frozen": "exact", "_max$": "maximum", "local": "keep", "num_": "average"}})");
  const ModelData start = ModelOf({{"frozen.w", Values<float>({1})},
                                   {"w_max", Values<float>({1})},
                                   {"local.w", Values<float>({1})},
                                   {"num_batches_tracked", Values<std::int64_t>({10})}});
  Begin(0, start);
  Accept(From("a", 1,
              ModelOf({{"frozen.w", Values<float>({0})},
                       {"w_max", Values<float>({5})},
                       {"local.w", Values<float>({5})},
                       {"num_batches_tracked", Values<std::int64_t>({4})}})));
  Accept(From("b", 1, ModelOf({{"w_max", Values<float>({3})}, {"num_batches_tracked", Values<std::int64_t>({8})}})));
  EXPECT_NE(Refuse(From("c", 1, ModelOf({{"frozen.w", Values<float>({1e-9F})}}))).message().find("site 'c': tensor"),
            std::string::npos);
  const ModelData result = Finish().model;
  EXPECT_EQ(result.Find("frozen.w")->tensor, Values<float>({1}));
  EXPECT_EQ(result.Find("w_max")->tensor, Values<float>({6}));
  EXPECT_EQ(result.Find("local.w")->tensor, Values<float>({1}));
  EXPECT_EQ(result.Find("num_batches_tracked")->tensor, Values<std::int64_t>({16}));
}

TEST_F(ModelAggregatorTest, RolesThatContradictEachOtherAreRefused) {
  Make(R"({"roles": {"w": "keep", "^w$": "average"}})");
  const auto begun = aggregator_->Begin(0, W({1}));
  ASSERT_FALSE(begun.has_value());
  EXPECT_NE(begun.error().message().find("tensor 'w'"), std::string::npos);
  EXPECT_EQ(Refuse(From("a", 1, W({1}))).kind(), ErrorKind::kFailedPrecondition);
}

TEST_F(ModelAggregatorTest, SiteCountsOnceAndInItsRoundOnly) {
  Make("{}");
  EXPECT_EQ(Refuse(From("a", 1, W({1}))).kind(), ErrorKind::kFailedPrecondition);
  EXPECT_FALSE(aggregator_->Finish().has_value());
  Begin(3, W({0}));
  EXPECT_EQ(aggregator_->Finish().error().kind(), ErrorKind::kFailedPrecondition);
  Accept(From("a", 1, W({1}), 3));
  EXPECT_EQ(Refuse(From("a", 1, W({7}), 3)).kind(), ErrorKind::kAlreadyExists);
  EXPECT_EQ(Refuse(From("b", 1, W({7}), 2)).kind(), ErrorKind::kFailedPrecondition);
  EXPECT_TRUE(Finish().model == W({1}));
  EXPECT_EQ(Refuse(From("b", 1, W({7}), 3)).kind(), ErrorKind::kFailedPrecondition);
  Begin(4, W({0}));
  Accept(From("a", 1, W({2}), 4));
  EXPECT_TRUE(Finish().model == W({2}));
}

TEST_F(ModelAggregatorTest, RefusedSiteMayTryAgainAndLeavesNoTrace) {
  Make("{}");
  Begin(0, W({1, 2}));
  Accept(From("a", 1, W({0.1F, 0.2F})));
  const ModelData expected = Finish().model;
  Begin(0, W({1, 2}));
  EXPECT_EQ(Refuse(From("a", 1, W({0.1F, std::nanf("")}))).message(), "site 'a': tensor 'w': element 1 is NaN");
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_EQ(Refuse(From("a", bad, W({0.1F, 0.2F}))).kind(), ErrorKind::kInvalidArgument);
  }
  Accept(From("a", 1, W({0.1F, 0.2F})));
  EXPECT_TRUE(Finish().model == expected);
}

TEST_F(ModelAggregatorTest, RoundThatWasNotFinishedIsForgotten) {
  Make("{}");
  Begin(0, W({1}));
  Accept(From("a", 1, W({100})));
  Begin(0, W({1}));
  EXPECT_EQ(aggregator_->count(), 0);
  Accept(From("a", 1, W({1})));
  EXPECT_TRUE(Finish().model == W({2}));
}

TEST_F(ModelAggregatorTest, MetricsAreWeightedMeansInAnyOrder) {
  const auto round = [this](std::vector<int> order) {
    Make("{}");
    Begin(0, W({1}));
    for (const int i : order) {
      Contribution contribution = From("site" + std::to_string(i), 1 + i % 3, W({0}));
      contribution = WithMetric(std::move(contribution), "train", "loss", 0.1 * i);
      Accept(i == 2 ? WithMetric(std::move(contribution), "val", "nan", std::nan("")) : contribution);
    }
    return Finish().metrics.ToMap();
  };
  const MetricMap forwards = round({0, 1, 2, 3, 4, 5});
  EXPECT_EQ(forwards, round({5, 3, 0, 4, 2, 1}));
  EXPECT_NEAR(forwards.at("train").at("loss"), (0 * 1 + 0.1 * 2 + 0.2 * 3 + 0.3 * 1 + 0.4 * 2 + 0.5 * 3) / 12, 1e-15);
  EXPECT_FALSE(forwards.contains("val"));
}

TEST_F(ModelAggregatorTest, BestMetricDecidesIsBestAndSurvivesARestart) {
  Make("{}");
  const auto round = [this](std::vector<double> metrics) {
    Begin(0, W({1}));
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      Accept(WithMetric(From("site" + std::to_string(i), 1, W({0})), "val", "best_validation_metric", metrics[i]));
    }
    if (metrics.empty()) Accept(From("a", 1, W({0})));
    return Finish().is_best;
  };
  EXPECT_FALSE(round({}));
  EXPECT_TRUE(round({-0.5, -0.7}));
  EXPECT_FALSE(round({-0.7, -0.5}));
  EXPECT_TRUE(round({0.5, std::nan("")}));
  const ModelData state = aggregator_->SaveState();
  Make("{}");
  ASSERT_TRUE(aggregator_->LoadState(state).has_value());
  EXPECT_FALSE(round({0.4, 0.6}));
  EXPECT_TRUE(round({0.6}));
}

ModelData BatchNormModel(std::uint64_t seed, bool is_difference) {
  Random random(seed);
  const auto values = [&random](auto value) {
    std::vector<float> values(300);
    for (float& v : values) v = static_cast<float>(value());
    (void)random;
    return Values(values);
  };
  return ModelOf({{"w", values([&] { return random.Normal(); })},
                  {"bn.running_mean", values([&] { return random.Normal(); })},
                  {"bn.running_var", values([&] { return is_difference ? 0 : std::exp(6 * random.Normal()); })},
                  {"bn.num_batches_tracked", Values<std::int64_t>({static_cast<std::int64_t>(seed)})}});
}

TEST_F(ModelAggregatorTest, OptimizerActsOnParametersAndBuffersAreAveraged) {
  for (const bool is_difference : {true, false}) {
    const char* adam = is_difference
                           ? R"({"optimizer": {"name": "FedAdam", "args": {"lr": 10}}})"
                           : R"({"optimizer": {"name": "FedAdam", "args": {"lr": 10}}, "expects": "weights"})";
    const char* plain = is_difference ? "{}" : R"({"expects": "weights"})";
    ModelData model = BatchNormModel(1, false);
    for (int round = 0; round < 3; ++round) {
      std::vector<ModelData> results;
      for (const char* args : {plain, adam}) {
        Make(args);
        Begin(round, model);
        for (std::uint64_t site = 0; site < 3; ++site) {
          Contribution contribution = From(std::to_string(site), 1.0 + 7.3 * static_cast<double>(site),
                                           BatchNormModel(10 + site, is_difference), round);
          contribution.kind = is_difference ? UpdateKind::kDifference : UpdateKind::kWeights;
          if (is_difference) {  // each site's variance becomes zero, as far down as it can
            std::vector<float> down;
            for (const float v : model.Find("bn.running_var")->tensor.values<float>()) down.push_back(-v);
            ASSERT_TRUE(contribution.update.Set("bn.running_var", Values(down)).has_value());
          }
          Accept(contribution);
        }
        results.push_back(Finish().model);
      }
      EXPECT_NE(results[0].Find("w")->tensor, results[1].Find("w")->tensor);
      for (const char* name : {"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"}) {
        EXPECT_EQ(results[0].Find(name)->tensor, results[1].Find(name)->tensor) << name;
      }
      for (const float v : results[1].Find("bn.running_var")->tensor.values<float>()) ASSERT_GE(v, 0);
      model = results[1];
    }
  }
}

TEST_F(ModelAggregatorTest, OptimizerWithWeightsIsThatWithDifferences) {
  std::vector<ModelData> results;
  for (const char* args : {R"({"optimizer": {"name": "SGD", "args": {"lr": 0.5}}})",
                           R"({"optimizer": {"name": "SGD", "args": {"lr": 0.5}}, "expects": "weights"})"}) {
    Make(args);
    Begin(0, W({1, 2}));
    const bool is_difference = results.empty();
    Contribution contribution = From("a", 1, is_difference ? W({2, -2}) : W({3, 0}));
    contribution.kind = is_difference ? UpdateKind::kDifference : UpdateKind::kWeights;
    Accept(contribution);
    results.push_back(Finish().model);
  }
  EXPECT_TRUE(results[0] == W({2, 1}));
  EXPECT_TRUE(results[1] == results[0]);
}

TEST_F(ModelAggregatorTest, RestartGoesOnWithTheSameBits) {
  const char* args = R"({"optimizer": {"name": "FedYogi", "args": {"lr": 0.1}}})";
  Random random(1);
  std::vector<ModelData> updates;
  for (int i = 0; i < 6; ++i) updates.push_back(BatchNormModel(50 + static_cast<std::uint64_t>(i), true));
  const auto run = [&](int restart_after) {
    Make(args);
    ModelData model = BatchNormModel(1, false);
    for (int round = 0; round < 6; ++round) {
      if (round == restart_after) {
        const ModelData state = aggregator_->SaveState().Clone();
        Make(args);
        EXPECT_TRUE(aggregator_->LoadState(state).has_value());
      }
      Begin(round, model);
      Accept(From("a", 5, updates[static_cast<std::size_t>(round)], round));
      model = Finish().model;
    }
    return model;
  };
  const ModelData expected = run(-1);
  EXPECT_TRUE(run(3) == expected);
  EXPECT_TRUE(run(1) == expected);
}

TEST_F(ModelAggregatorTest, AbandonedRoundDoesNotMoveTheOptimizer) {
  Make(R"({"optimizer": {"name": "FedAdam", "args": {"bias_correction": true}}})");
  Begin(0, W({1}));
  Accept(From("a", 1, W({1})));
  const ModelData before = aggregator_->SaveState();
  Begin(0, W({1}));
  EXPECT_TRUE(aggregator_->SaveState() == before);
}

TEST_F(ModelAggregatorTest, StateOfAnotherOptimizerIsRefused) {
  Make(R"({"optimizer": {"name": "FedAdam"}})");
  Begin(0, W({1}));
  Accept(From("a", 1, W({1})));
  Finish();
  const ModelData state = aggregator_->SaveState();
  Make("{}");
  EXPECT_EQ(aggregator_->LoadState(state).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_TRUE(aggregator_->SaveState().empty());
}

TEST_F(ModelAggregatorTest, StepThatLeavesTheTypeIsReported) {
  Make(R"({"optimizer": {"name": "SGD", "args": {"lr": 1e300}}})");
  Begin(0, W({1}));
  Accept(From("a", 1, W({1})));
  const auto result = aggregator_->Finish();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message(), "tensor 'w': element 0 is infinite in the new model");
}

TEST(ModelAggregatorArgsTest, BadOnesAreNamed) {
  EXPECT_NE(WrongBecause(R"({"exclude_var": "x"})").find("exclude_vars"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"exclude_vars": "("})").find("exclude_vars"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"aggregation_weights": {"a": -1}})").find("'a'"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"aggregation_weights": {"a": "1"}})").find("'a'"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"aggregation_weights": [1]})").find("aggregation_weights"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"normalize": "N"})").find("normalize"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"expects": "weight"})").find("expects"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"roles": {"x": "mean"}})").find("mean"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"roles": {"[": "keep"}})").find("roles"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"optimizer": {"name": "Adam"}})").find("FedAdam"), std::string::npos);
  EXPECT_NE(WrongBecause(R"({"normalize": "n", "expects": "weights"})").find("normalize"), std::string::npos);
}

TEST(AggregationComponentsTest, ModelAggregatorIsRegistered) {
  Registry registry;
  RegisterAggregationComponents(registry);
  EXPECT_EQ(registry.aggregators.names(), std::vector<std::string>{"ModelAggregator"});
  EXPECT_TRUE(registry.aggregators.Make({.name = "ModelAggregator"}, {}).has_value());
}

}  // namespace
}  // namespace fed_learn
