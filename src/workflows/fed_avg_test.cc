#include "workflows/fed_avg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

namespace fed_learn {
namespace {

using event::Contributed;
using event::Joined;
using event::Left;
using event::RoundRecorded;
using event::Started;
using event::TimerFired;

// What a decision is, in a word, so that a test reads as a story.
std::string Word(const Decision& decision) {
  if (const auto* open = std::get_if<decision::OpenRound>(&decision)) return "open " + std::to_string(open->round);
  if (const auto* close = std::get_if<decision::CloseRound>(&decision)) return "close " + std::to_string(close->round);
  if (const auto* end = std::get_if<decision::EndRun>(&decision)) return end->completed ? "end" : "end: " + end->why;
  if (const auto* timer = std::get_if<decision::StartTimer>(&decision)) {
    return timer->timer == RunTimer::kRound ? "start round timer" : "start wait timer";
  }
  return "";
}

std::vector<std::string> Feed(FedAvg& workflow, std::initializer_list<Event> events) {
  std::vector<std::string> words;
  for (const Event& event : events) {
    for (const Decision& decision : workflow.On(event)) {
      if (auto word = Word(decision); !word.empty()) words.push_back(word);
    }
  }
  return words;
}

using Words = std::vector<std::string>;

TEST(FedAvgTest, RoundClosesAtOnceWhenAllWhoAreAliveHaveContributed) {
  FedAvg workflow({.num_rounds = 2, .min_num_clients = 2});
  EXPECT_EQ(Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Contributed{"a", 0}}), Words{"open 0"});
  EXPECT_EQ(Feed(workflow, {Contributed{"b", 0}}), Words{"close 0"});
  EXPECT_EQ(Feed(workflow, {RoundRecorded{0}}), Words{"open 1"});
  EXPECT_EQ(Feed(workflow, {Contributed{"b", 1}, Contributed{"a", 1}, RoundRecorded{1}}), (Words{"close 1", "end"}));
}

TEST(FedAvgTest, MinimumStartsTheWaitOnceAndTheWaitClosesTheRound) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 1});
  Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Joined{"c"}});
  EXPECT_EQ(Feed(workflow, {Contributed{"a", 0}}), Words{"start wait timer"});
  EXPECT_EQ(Feed(workflow, {Contributed{"b", 0}}), Words{});
  EXPECT_EQ(Feed(workflow, {TimerFired{RunTimer::kWaitAfterMinClients}}), Words{"close 0"});
}

TEST(FedAvgTest, LeavingOfTheLastAwaitedSiteClosesTheRound) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 2});
  Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Joined{"c"}, Contributed{"a", 0}, Contributed{"b", 0}});
  EXPECT_EQ(Feed(workflow, {Left{"c"}}), Words{"close 0"});
}

TEST(FedAvgTest, LeavingDoesNotCloseBelowTheMinimum) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 2});
  EXPECT_EQ(Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Contributed{"a", 0}, Left{"b"}}), Words{"open 0"});
  EXPECT_EQ(workflow.waiting().setting, "min_num_clients = 2");
}

TEST(FedAvgTest, ContributionOfASiteThatLeftStillCounts) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 2});
  Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Contributed{"a", 0}, Left{"a"}});
  EXPECT_EQ(Feed(workflow, {Contributed{"b", 0}}), Words{"close 0"});
}

TEST(FedAvgTest, StaleContributionChangesNothing) {
  FedAvg workflow({.first_round = 5, .num_rounds = 6, .min_num_clients = 1});
  EXPECT_EQ(Feed(workflow, {Started{}, Contributed{"a", 4}}), Words{"open 5"});
  EXPECT_EQ(Feed(workflow, {Contributed{"a", 5}, Contributed{"a", 5}}), Words{"close 5"});
}

TEST(FedAvgTest, RoundTimeoutNeedsOneContribution) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 3, .round_timeout = Seconds(60)});
  EXPECT_EQ(Feed(workflow, {Started{}}), (Words{"open 0", "start round timer"}));
  EXPECT_EQ(Feed(workflow, {TimerFired{RunTimer::kRound}}), Words{"start round timer"});
  EXPECT_EQ(Feed(workflow, {Joined{"a"}, Joined{"b"}, Contributed{"a", 0}, TimerFired{RunTimer::kRound}}),
            Words{"close 0"});
}

TEST(FedAvgTest, NothingToDoEndsAtOnce) {
  FedAvg workflow({.first_round = 3, .num_rounds = 3});
  EXPECT_EQ(Feed(workflow, {Started{}}), Words{"end"});
  EXPECT_EQ(Feed(workflow, {Started{}, Contributed{"a", 3}}), Words{});
}

TEST(FedAvgTest, AbortEndsInEveryState) {
  for (bool open : {false, true}) {
    FedAvg workflow({.num_rounds = 1});
    if (open) Feed(workflow, {Started{}});
    EXPECT_EQ(Feed(workflow, {event::Aborted{"by lead"}}), Words{"end: by lead"});
    EXPECT_EQ(Feed(workflow, {Joined{"a"}}), Words{});
  }
}

TEST(FedAvgTest, StatusNamesWhoIsAwaited) {
  FedAvg workflow({.num_rounds = 1, .min_num_clients = 2});
  Feed(workflow, {Started{}, Joined{"a"}, Joined{"b"}, Contributed{"b", 0}});
  EXPECT_THAT(workflow.waiting().sites, testing::ElementsAre("a"));
}

}  // namespace
}  // namespace fed_learn
