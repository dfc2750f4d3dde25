#include "base/simulated_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace fed_learn {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

class SimulatedLoopTest : public ::testing::Test {
 protected:
  Task Say(std::string word) {
    return [this, word = std::move(word)] { said_.push_back(word); };
  }

  SimulatedLoop world_;
  std::vector<std::string> said_;
};

TEST_F(SimulatedLoopTest, NothingToDoIsIdle) {
  EXPECT_FALSE(world_.RunNext());
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_EQ(world_.Now(), MonotonicTime{});
}

TEST_F(SimulatedLoopTest, TasksRunInTheOrderOfPostingAndNeverInside) {
  world_.Post([this] {
    world_.Post(Say("third"));
    said_.push_back("first");
  });
  world_.Post(Say("second"));
  EXPECT_THAT(said_, ElementsAre());
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_THAT(said_, ElementsAre("first", "second", "third"));
  EXPECT_EQ(world_.tasks_run(), 3u);
}

TEST_F(SimulatedLoopTest, TimersRunInTheOrderOfTheirTime) {
  world_.After(hours(2), Say("later"));
  world_.After(hours(1), Say("sooner"));
  world_.After(hours(1), Say("as soon"));
  world_.After(milliseconds(-1), Say("now"));
  const WallTime start = world_.Wall();
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_THAT(said_, ElementsAre("now", "sooner", "as soon", "later"));
  EXPECT_EQ(world_.Wall() - start, hours(2));
}

TEST_F(SimulatedLoopTest, ACancelledTimerDoesNotRun) {
  const TimerId first = world_.After(hours(1), Say("first"));
  const TimerId second = world_.After(hours(2), Say("second"));
  const TimerId third = world_.After(hours(3), Say("third"));
  world_.Cancel(second);
  world_.Cancel(first);
  world_.Cancel(first);
  world_.Cancel(TimerId::kNone);
  EXPECT_TRUE(world_.RunUntilIdle());
  world_.Cancel(third);
  EXPECT_THAT(said_, ElementsAre("third"));
}

TEST_F(SimulatedLoopTest, ATimerCanBeSetForTheEndOfTime) {
  world_.RunFor(hours(1));
  world_.After(Duration::max(), Say("never"));
  EXPECT_FALSE(world_.RunUntilIdle(hours(24 * 365)));
  EXPECT_THAT(said_, ElementsAre());
}

TEST_F(SimulatedLoopTest, RunUntilStopsAtItsConditionOrItsLimit) {
  world_.After(hours(1), Say("one"));
  world_.After(hours(3), Say("three"));
  EXPECT_TRUE(world_.RunUntil([this] { return said_.size() == 1; }, hours(2)));
  EXPECT_EQ(world_.Now(), MonotonicTime{hours(1)});
  EXPECT_FALSE(world_.RunUntil([this] { return said_.size() == 2; }, hours(1)));
  EXPECT_EQ(world_.Now(), MonotonicTime{hours(2)});
  EXPECT_FALSE(world_.RunUntil([] { return false; }));
  EXPECT_THAT(said_, ElementsAre("one", "three"));
}

TEST_F(SimulatedLoopTest, RunUntilIdleGivesUpAtItsLimit) {
  std::function<void()> tick = [&] { world_.After(hours(1), tick); };
  tick();
  EXPECT_FALSE(world_.RunUntilIdle(hours(10)));
  EXPECT_EQ(world_.tasks_run(), 10u);
}

TEST_F(SimulatedLoopTest, RunForLetsTheTimePass) {
  world_.After(hours(1), Say("in time"));
  world_.After(hours(2), Say("at the end"));
  world_.After(hours(3), Say("too late"));
  world_.RunFor(hours(2));
  EXPECT_THAT(said_, ElementsAre("in time", "at the end"));
  EXPECT_EQ(world_.Now(), MonotonicTime{hours(2)});
}

TEST_F(SimulatedLoopTest, AKilledNodeDoesNothingMore) {
  const auto a = world_.MakeNode();
  auto b = world_.MakeNode();
  a->Post(Say("a"));
  const TimerId timer = a->After(hours(1), Say("a later"));
  b->Post(Say("b"));
  b->After(hours(1), Say("b later"));
  a->Kill();
  a->Cancel(timer);
  a->Post(Say("a after death"));
  EXPECT_EQ(a->After(hours(1), Say("a after death")), TimerId::kNone);
  EXPECT_FALSE(world_.RunUntilIdle(milliseconds(1)));
  b.reset();
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_THAT(said_, ElementsAre("b"));
  EXPECT_TRUE(a->killed());
}

TEST_F(SimulatedLoopTest, ANodeMayEndWithinItsOwnTask) {
  auto node = world_.MakeNode();
  node->Post([&] { node.reset(); });
  node->Post(Say("too late"));
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_THAT(said_, ElementsAre());
}

TEST_F(SimulatedLoopTest, WhatADroppedTaskHeldMayStillPost) {
  struct PostsAtItsEnd {
    explicit PostsAtItsEnd(Loop& loop) : loop(loop) {}
    ~PostsAtItsEnd() {
      loop.Post([] {});
    }
    Loop& loop;
  };
  const auto node = world_.MakeNode();
  node->Post([held = std::make_shared<PostsAtItsEnd>(*node)] {});
  node->Kill();
  EXPECT_TRUE(world_.RunUntilIdle());
  EXPECT_EQ(world_.tasks_run(), 0u);
}

std::string OrderOfThreeNodes(SimulatedLoopOptions options) {
  SimulatedLoop world(options);
  std::vector<std::unique_ptr<SimulatedLoop::Node>> nodes;
  std::string order;
  for (int i = 0; i < 3; ++i) nodes.push_back(world.MakeNode());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) {
      nodes[static_cast<std::size_t>(i)]->Post([&order, i, round] { order += static_cast<char>('a' + 3 * i + round); });
    }
  }
  world.RunUntilIdle();
  return order;
}

TEST(SimulatedLoopShuffleTest, WithoutItTheOrderOfPostingHolds) { EXPECT_EQ(OrderOfThreeNodes({}), "adgbehcfi"); }

TEST(SimulatedLoopShuffleTest, OneSeedGivesOneOrderAndNodesKeepTheirs) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedLoopOptions options = {.seed = seed, .shuffle_nodes = true};
    const std::string order = OrderOfThreeNodes(options);
    EXPECT_EQ(order, OrderOfThreeNodes(options));
    for (const std::string_view own : {"abc", "def", "ghi"}) {
      EXPECT_LT(order.find(own[0]), order.find(own[1]));
      EXPECT_LT(order.find(own[1]), order.find(own[2]));
    }
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 10u);
}

}  // namespace
}  // namespace fed_learn
