#include "transport/asio_loop.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

namespace fed_learn {
namespace {

using std::chrono::milliseconds;

TEST(AsioLoopTest, TasksRunInTheOrderOfPosting) {
  AsioLoop loop;
  std::string order;
  loop.Post([&] { order += 'a'; });
  loop.Post([&] {
    loop.Post([&] { loop.Stop(); });
    order += 'b';
  });
  loop.Post([&] { order += 'c'; });
  loop.Run();
  EXPECT_EQ(order, "abc");
}

TEST(AsioLoopTest, TimersRunInTheOrderOfTheirTime) {
  AsioLoop loop;
  std::string order;
  loop.After(milliseconds(20), [&] {
    order += 'b';
    loop.Stop();
  });
  loop.After(milliseconds(1), [&] { order += 'a'; });
  loop.Run();
  EXPECT_EQ(order, "ab");
}

TEST(AsioLoopTest, ACancelledTimerDoesNotRun) {
  AsioLoop loop;
  bool ran = false;
  const TimerId timer = loop.After(milliseconds(1), [&] { ran = true; });
  loop.Cancel(timer);
  loop.Cancel(timer);
  loop.Cancel(TimerId::kNone);
  loop.After(milliseconds(5), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_FALSE(ran);
}

TEST(AsioLoopTest, ATimerMayCancelAnotherThatIsDueAtTheSameTime) {
  AsioLoop loop;
  bool ran = false;
  TimerId second = TimerId::kNone;
  loop.After(milliseconds(0), [&] { loop.Cancel(second); });
  second = loop.After(milliseconds(0), [&] { ran = true; });
  loop.After(milliseconds(5), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_FALSE(ran);
}

TEST(AsioLoopTest, RunsAgainAfterAStop) {
  AsioLoop loop;
  int runs = 0;
  for (int i = 0; i < 2; ++i) {
    loop.Post([&] {
      ++runs;
      loop.Stop();
    });
    loop.Run();
  }
  EXPECT_EQ(runs, 2);
}

TEST(AsioLoopTest, AStopBeforeRunIsNotLost) {
  AsioLoop loop;
  loop.Stop();
  loop.Run();
}

TEST(AsioLoopTest, TasksMayBePostedFromAnotherThread) {
  AsioLoop loop;
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.Post([&] { ++ran; });
    loop.Stop();
  });
  loop.Run();
  other.join();
  EXPECT_EQ(ran, 1000);
}

TEST(AsioLoopTest, WhatNeverRanIsDropped) {
  const auto token = std::make_shared<int>(1);
  {
    AsioLoop loop;
    loop.Post([token] {});
    loop.After(milliseconds(1), [token] {});
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(AsioLoopTest, TimeDoesNotGoBack) {
  const AsioLoop loop;
  const MonotonicTime before = loop.Now();
  EXPECT_LE(before, loop.Now());
  EXPECT_GT(loop.Wall().time_since_epoch().count(), 0);
}

}  // namespace
}  // namespace fed_learn
