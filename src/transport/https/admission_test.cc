#include "transport/https/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace fed_learn {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr MonotonicTime kStart{};

TEST(AdmissionTest, ConnectionsOfAllAreBounded) {
  Admission admission({.connections_max = 2});
  EXPECT_TRUE(admission.Enter());
  EXPECT_TRUE(admission.Enter());
  EXPECT_FALSE(admission.Enter());
  admission.Leave();
  EXPECT_TRUE(admission.Enter());
}

TEST(AdmissionTest, ConnectionsOfOnePeerAreBounded) {
  Admission admission({.connections_per_peer_max = 1});
  EXPECT_TRUE(admission.EnterPeer("a").has_value());
  const Status second = admission.EnterPeer("a");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::kResourceExhausted);
  EXPECT_THAT(second.error().message(), HasSubstr("'a'"));
  EXPECT_TRUE(admission.EnterPeer("b").has_value());
  admission.LeavePeer("a");
  EXPECT_TRUE(admission.EnterPeer("a").has_value());
}

TEST(AdmissionTest, ABurstPassesAndThenTheRateHolds) {
  Admission admission({.requests_per_second = 10, .requests_burst = 5});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(admission.PutOff("a", kStart), Duration::zero());
  const Duration wait = admission.PutOff("a", kStart);
  EXPECT_GT(wait, milliseconds(99));
  EXPECT_LT(wait, milliseconds(102));
  EXPECT_EQ(admission.PutOff("b", kStart), Duration::zero());  // another peer feels nothing
  EXPECT_EQ(admission.PutOff("a", kStart + wait), Duration::zero());
  EXPECT_GT(admission.PutOff("a", kStart + wait), Duration::zero());
}

TEST(AdmissionTest, APauseEarnsNoMoreThanABurst) {
  Admission admission({.requests_per_second = 10, .requests_burst = 5});
  int passed = 0;
  while (admission.PutOff("a", kStart + seconds(1000)) == Duration::zero()) ++passed;
  EXPECT_EQ(passed, 5);
}

TEST(RefusalLogTest, CountsAllAndLogsAFew) {
  LinkCounters counters;
  RefusalLog log(counters);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) log.Note(Refusal::kRate, "peer a\nforged line", kStart + seconds(1));
  log.Note(Refusal::kNotTls, "peer b", kStart + seconds(100));
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(counters.Snapshot().refused_for(Refusal::kRate), 1000u);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 21);
  EXPECT_THAT(text, HasSubstr("(and 980 others since"));
}

TEST(MetricsTest, EveryRefusalHasItsOwnName) {
  for (int i = 0; i < static_cast<int>(Refusal::kCount); ++i) {
    EXPECT_FALSE(ToString(static_cast<Refusal>(i)).empty());
    for (int j = 0; j < i; ++j) EXPECT_NE(ToString(static_cast<Refusal>(i)), ToString(static_cast<Refusal>(j)));
  }
}

}  // namespace
}  // namespace fed_learn
