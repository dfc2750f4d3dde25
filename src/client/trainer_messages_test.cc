#include "client/trainer_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const Json& message) {
  const auto result = ReadTrainerResult(message, TrainerTask::kTrain);
  return result.has_value() ? "accepted" : result.error().message();
}

TEST(TrainerMessagesTest, ResultHasWeightMetricsAndKind) {
  const auto result = ReadTrainerResult(
      {{"n_iter", 40}, {"kind", "difference"}, {"metrics", {{"train", {{"loss", 0.5}, {"worst", "NaN"}}}}}},
      TrainerTask::kTrain);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->n_iter, 40);
  EXPECT_EQ(result->kind, UpdateKind::kDifference);
  EXPECT_EQ(result->metrics.GetGroup("train")->at("loss"), 0.5);
  EXPECT_TRUE(std::isnan(result->metrics.GetGroup("train")->at("worst")));
}

TEST(TrainerMessagesTest, WrongKeysOfAResultAreNamed) {
  EXPECT_THAT(Refusal(Json::object()), HasSubstr("n_iter"));
  EXPECT_THAT(Refusal({{"n_iter", -1}}), HasSubstr("n_iter"));
  EXPECT_THAT(Refusal({{"n_iter", "40"}}), HasSubstr("n_iter"));
  EXPECT_THAT(Refusal({{"n_iter", 1}, {"kind", 3}}), HasSubstr("kind"));
  EXPECT_THAT(Refusal({{"n_iter", 1}, {"metrics", 3}}), HasSubstr("metrics"));
  EXPECT_THAT(Refusal({{"n_iter", 1}, {"metrics", {{"train", 3}}}}), HasSubstr("metrics.train"));
  EXPECT_THAT(Refusal({{"n_iter", 1}, {"metrics", {{"train", {{"loss", "low"}}}}}}), HasSubstr("metrics.train.loss"));
}

TEST(TrainerMessagesTest, SeedIsTheRoundsAndTheSites) {
  AppContext app_ctx;
  app_ctx.client_name = "site_1";
  app_ctx.current_round = 3;
  app_ctx.seed = 42;
  const Json task = TaskForTrainer(1, TrainerTask::kTrain, app_ctx);
  EXPECT_EQ(TaskForTrainer(2, TrainerTask::kTrain, app_ctx)["seed"], task["seed"]);
  EXPECT_LE(task["seed"].get<std::uint64_t>(), UINT32_MAX);
  app_ctx.current_round = 4;
  EXPECT_NE(TaskForTrainer(1, TrainerTask::kTrain, app_ctx)["seed"], task["seed"]);
  app_ctx.current_round = 3;
  app_ctx.client_name = "site_2";
  EXPECT_NE(TaskForTrainer(1, TrainerTask::kTrain, app_ctx)["seed"], task["seed"]);
}

TEST(TrainerMessagesTest, ProgressIsWhatPeopleCanRead) {
  const FitProgress progress = ReadTrainerProgress({{"done", 7}, {"note", "step 40\nof 100"}});
  EXPECT_EQ(progress.done, 1);
  EXPECT_EQ(progress.note, "step 40\\nof 100");
  EXPECT_EQ(ReadTrainerProgress({{"done", "half"}, {"note", 3}}).note, "");
  EXPECT_LT(ReadTrainerProgress({{"note", std::string(10000, 'x')}}).note.size(), 300u);
}

TEST(TrainerMessagesTest, OtherVersionIsRefused) {
  EXPECT_TRUE(CheckTrainerHello({{"versions", {1, 2}}}).has_value());
  for (const Json& hello : {Json::object(), Json{{"versions", {2}}}, Json{{"versions", "1"}}}) {
    const Status checked = CheckTrainerHello(hello);
    ASSERT_FALSE(checked.has_value());
    EXPECT_THAT(checked.error().message(), HasSubstr("version 1"));
  }
}

TEST(TrainerMessagesTest, MessageWithoutTypeOrTaskHasNone) {
  EXPECT_EQ(TypeOf({}), "");
  EXPECT_EQ(TaskOf({}), 0u);
  EXPECT_EQ(TaskOf({.header = {{"task", -4}}, .memory = std::nullopt}), 0u);
}

}  // namespace
}  // namespace fed_learn
