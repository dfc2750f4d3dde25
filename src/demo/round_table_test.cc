#include "demo/round_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using testing::Contains;
using testing::HasSubstr;

Json Status() {
  return {{"state", "running"},
          {"round", 3},
          {"start_round", 0},
          {"num_rounds", 10},
          {"round_open", true},
          {"last_metrics",
           {{"mean", {{"train/loss", 1.5}, {"validation/c_index", 0.75}}},
            {"sites", {{"north/train/loss", 1.25}, {"north/validation/c_index", 0.8}}}}},
          {"waiting", {{"sites", {"south"}}, {"since_seconds", 2.5}, {"setting", "min_num_clients = 2"}}},
          {"sites",
           {{"north", {{"connected", true}, {"alive", true}, {"counted", true}}},
            {"south", {{"connected", true}, {"alive", true}, {"phase", "training"}, {"done", 0.4}}}}}};
}

TEST(RoundTableTest, ShowsWhoIsInWhoTrainsAndWhoIsAwaited) {
  const auto lines = RoundTable(Status(), 2.5, {});
  EXPECT_THAT(lines[0], HasSubstr("round 3 of 10   1 of 2 sites in   loss 1.5000   C-index 0.750   2.5 s"));
  EXPECT_THAT(lines, Contains(HasSubstr("training 40%")));
  EXPECT_THAT(lines, Contains(HasSubstr("waiting for south since 2.5 s (min_num_clients = 2)")));
}

TEST(RoundTableTest, ASiteThatNeverJoinedIsAwaitedToo) {
  Json status = Status();
  status["waiting"]["sites"] = Json::array();
  EXPECT_THAT(RoundTable(status, 0, {}), Contains(HasSubstr("waiting for more sites since 2.5 s")));
}

TEST(RoundTableTest, HalfOfTheSitesIsHalfOfTheRound) { EXPECT_DOUBLE_EQ(DoneShare(Status()), 0.35); }

TEST(RoundTableTest, AnEndedRunIsWhole) {
  Json status = Status();
  status["state"] = "completed";
  status["round"] = 9;
  status["round_open"] = false;
  EXPECT_DOUBLE_EQ(DoneShare(status), 1);
}

TEST(RoundTableTest, AnEmptyStatusIsShownWithoutNumbers) {
  EXPECT_THAT(RoundTable(Json::object(), 0, {})[0], HasSubstr("loss –"));
  EXPECT_DOUBLE_EQ(DoneShare(Json::object()), 0);
}

TEST(RoundTableTest, TroubleIsShownInsteadOfWhoIsAwaited) {
  Json status = Status();
  status["trouble"] = "the disk is full";
  EXPECT_THAT(RoundTable(status, 0, {}), Contains("! the disk is full"));
}

}  // namespace
}  // namespace fed_learn
