// What every Store promises, run for each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "base/simulated_disk.h"
#include "server/memory_store.h"
#include "server/sqlite_store.h"
#include "server/store.h"

namespace fed_learn {

bool operator==(const RunRecord& a, const RunRecord& b) {
  return a.run == b.run && a.task_name == b.task_name && a.config_sha256 == b.config_sha256 && a.state == b.state &&
         a.why == b.why;
}
bool operator==(const RoundRecord& a, const RoundRecord& b) {
  return a.run == b.run && a.round == b.round && a.model_id == b.model_id && a.state_id == b.state_id &&
         a.sites == b.sites && a.metrics == b.metrics && a.seconds == b.seconds;
}
bool operator==(const SiteRecord& a, const SiteRecord& b) {
  return a.site == b.site && a.token == b.token && a.registered == b.registered;
}
bool operator==(const AuditRecord& a, const AuditRecord& b) {
  return a.when == b.when && a.who == b.who && a.what == b.what;
}

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A store and what it lies on.
class Room {
 public:
  virtual ~Room() = default;
  virtual Store& store() = 0;
  virtual void Reopen() = 0;  // as after a clean restart of the process
};

class MemoryRoom final : public Room {
 public:
  Store& store() override { return store_; }
  void Reopen() override {}

 private:
  MemoryStore store_;
};

class SqliteRoom final : public Room {
 public:
  SqliteRoom() { Reopen(); }
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    auto opened = OpenSqliteStore(disk_, "server/store");
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    store_ = *std::move(opened);
  }

 private:
  SimulatedDisk disk_;
  std::unique_ptr<Store> store_;
};

struct Kind {
  const char* name;
  std::unique_ptr<Room> (*make)();
};

class StoreContractTest : public ::testing::TestWithParam<Kind> {
 protected:
  Store& store() { return room_->store(); }
  void Reopen() { room_->Reopen(); }
  std::unique_ptr<Room> room_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContractTest,
    ::testing::Values(Kind{"Memory", [] { return std::unique_ptr<Room>(std::make_unique<MemoryRoom>()); }},
                      Kind{"Sqlite", [] { return std::unique_ptr<Room>(std::make_unique<SqliteRoom>()); }}),
    [](const auto& kind) { return std::string(kind.param.name); });

RoundRecord Round(int round, std::int64_t run = 1) {
  return {.run = run,
          .round = round,
          .model_id = "m" + std::to_string(round),
          .state_id = "s",
          .sites = {"a", "b"},
          .metrics = {{"validation", {{"auc", 0.1 + round}}}},
          .seconds = 1.0 / 3};
}

TEST_P(StoreContractTest, AnEmptyStoreKnowsNothing) {
  EXPECT_FALSE(store().FindRun(1).value().has_value());
  EXPECT_FALSE(store().LastRound(1).value().has_value());
  EXPECT_THAT(store().Rounds(1).value(), IsEmpty());
  EXPECT_THAT(store().Sites().value(), IsEmpty());
  EXPECT_THAT(store().Audit().value(), IsEmpty());
}

TEST_P(StoreContractTest, ARunIsFoundAsItWasRecorded) {
  const RunRecord run{
      .run = 7, .task_name = "liver", .config_sha256 = "ab", .state = RunState::kFailed, .why = "ü\n'\""};
  ASSERT_TRUE(store().RecordRun(run).has_value());
  ASSERT_TRUE(store().RecordRun({.run = 8, .task_name = "", .config_sha256 = "", .why = ""}).has_value());
  Reopen();
  EXPECT_EQ(store().FindRun(7).value(), run);
  EXPECT_EQ(store().FindRun(8).value()->state, RunState::kRunning);
  EXPECT_FALSE(store().FindRun(9).value().has_value());
}

TEST_P(StoreContractTest, ARunRecordedAgainIsReplaced) {
  ASSERT_TRUE(store().RecordRun({.run = 1, .task_name = "liver"}).has_value());
  ASSERT_TRUE(store().RecordRun({.run = 1, .task_name = "liver", .state = RunState::kCompleted}).has_value());
  EXPECT_EQ(store().FindRun(1).value()->state, RunState::kCompleted);
}

TEST_P(StoreContractTest, RoundsComeBackInOrderAndWhole) {
  for (int round = -1; round < 12; ++round) ASSERT_TRUE(store().RecordRound(Round(round)).has_value()) << round;
  Reopen();
  const auto rounds = store().Rounds(1).value();
  ASSERT_EQ(rounds.size(), 13u);
  for (int i = 0; i < 13; ++i) EXPECT_EQ(rounds[static_cast<std::size_t>(i)], Round(i - 1));
  EXPECT_EQ(store().LastRound(1).value(), Round(11));
}

TEST_P(StoreContractTest, ARoundWithNothingInIt) {
  const RoundRecord round{.run = 1, .round = 0, .model_id = "", .state_id = "", .sites = {}, .seconds = 0};
  ASSERT_TRUE(store().RecordRound(round).has_value());
  Reopen();
  EXPECT_EQ(store().LastRound(1).value(), round);
}

TEST_P(StoreContractTest, ARoundWithVeryMuchInIt) {
  RoundRecord round = Round(0);
  for (int site = 0; site < 20000; ++site) {
    round.sites.push_back("site_" + std::to_string(site));
    round.metrics["sites"][round.sites.back()] = {{"loss", 1.0 / (site + 3)}};
  }
  ASSERT_TRUE(store().RecordRound(round).has_value());
  ASSERT_TRUE(store().RecordRound(Round(1)).has_value());
  Reopen();
  EXPECT_EQ(store().Rounds(1).value(), (std::vector{round, Round(1)}));
}

TEST_P(StoreContractTest, OnlyTheSuccessorOfTheLastRoundIsTaken) {
  ASSERT_TRUE(store().RecordRound(Round(4)).has_value());
  for (const int round : {4, 3, 6, -1}) {
    const Status status = store().RecordRound(Round(round));
    ASSERT_FALSE(status.has_value()) << round;
    EXPECT_EQ(status.error().kind(), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(status.error().message(), HasSubstr("the last recorded is 4"));
  }
  EXPECT_TRUE(store().RecordRound(Round(5)).has_value());
  EXPECT_EQ(store().Rounds(1).value().size(), 2u);
}

TEST_P(StoreContractTest, RunsDoNotMix) {
  ASSERT_TRUE(store().RecordRound(Round(0, 1)).has_value());
  ASSERT_TRUE(store().RecordRound(Round(-1, 2)).has_value());
  ASSERT_TRUE(store().RecordRound(Round(1, 1)).has_value());
  EXPECT_EQ(store().LastRound(1).value(), Round(1, 1));
  EXPECT_EQ(store().LastRound(2).value(), Round(-1, 2));
  EXPECT_FALSE(store().LastRound(3).value().has_value());
}

TEST_P(StoreContractTest, WhatCannotBeKeptIsRefused) {
  RoundRecord round = Round(0);
  round.seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(store().RecordRound(round).error().kind(), ErrorKind::kInvalidArgument);
  round = Round(0);
  round.sites = {"\xff"};
  EXPECT_EQ(store().RecordRound(round).error().kind(), ErrorKind::kInvalidArgument);
  round = Round(0);
  round.metrics["x"] = "\xff";
  EXPECT_EQ(store().RecordRound(round).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_FALSE(store().LastRound(1).value().has_value());
}

TEST_P(StoreContractTest, AMetricThatIsNoNumberIsNull) {
  RoundRecord round = Round(0);
  round.metrics = {{"loss", std::numeric_limits<double>::quiet_NaN()}};
  ASSERT_TRUE(store().RecordRound(round).has_value());
  EXPECT_TRUE(store().LastRound(1).value()->metrics.at("loss").is_null());
}

TEST_P(StoreContractTest, SitesComeInTheOrderOfRegistration) {
  const SiteRecord z{.site = "z", .token = "t1", .registered = 1};
  const SiteRecord a{.site = "a", .token = "t2", .registered = 2};
  ASSERT_TRUE(store().RecordSite(a).has_value());
  ASSERT_TRUE(store().RecordSite(z).has_value());
  Reopen();
  EXPECT_THAT(store().Sites().value(), ElementsAre(z, a));
  const SiteRecord again{.site = "z", .token = "t3", .registered = 1};
  ASSERT_TRUE(store().RecordSite(again).has_value());
  EXPECT_THAT(store().Sites().value(), ElementsAre(again, a));
}

TEST_P(StoreContractTest, TheAuditTrailKeepsEveryLine) {
  ASSERT_TRUE(store().RecordAudit("2026-01-01T00:00:02Z", "ann", "start server").has_value());
  ASSERT_TRUE(store().RecordAudit("2026-01-01T00:00:01Z", "ann", "start server").has_value());
  ASSERT_TRUE(store().RecordAudit("2026-01-01T00:00:01Z", "ann", "start server").has_value());
  Reopen();
  const AuditRecord second{"2026-01-01T00:00:01Z", "ann", "start server"};
  EXPECT_THAT(store().Audit().value(),
              ElementsAre(AuditRecord{"2026-01-01T00:00:02Z", "ann", "start server"}, second, second));
}

}  // namespace
}  // namespace fed_learn
