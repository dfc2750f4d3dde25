#include "simulate/federation.h"

#include <gtest/gtest.h>

namespace fed_learn {
namespace {

// What a failing seed looks like, step by step.
std::string StoryOf(const Federation& federation) {
  std::string story;
  for (const std::string& line : federation.story()) story += "\n  " + line;
  return story;
}

MemoryNetworkOptions BadNetwork() {
  return {.delay_min = std::chrono::milliseconds(1),
          .delay_max = std::chrono::milliseconds(400),
          .bytes_per_second = 4000,
          .chunk_bytes_max = 64,
          .message_cut_chance = 0.02,
          .chunk_cut_chance = 0.02,
          .half_open_max = std::chrono::seconds(30),
          .duplicate_put_chance = 0.05,
          .reorder_max = std::chrono::milliseconds(300)};
}

TEST(FederationTest, UndisturbedRunEndsWithTheSumOfAllSites) {
  Federation federation({.sites = 3, .rounds = 3, .seed = 1});
  const auto status = federation.RunToEnd();
  ASSERT_TRUE(status.has_value()) << status.error().message() << StoryOf(federation);
  EXPECT_EQ(federation.rounds_recorded(), 3);
}

TEST(FederationTest, TheSameBitsWhateverTheOrderOfArrival) {
  std::string expected;
  for (std::uint64_t delay = 0; delay < 5; ++delay) {
    Federation federation({.sites = 4,
                           .rounds = 2,
                           .min_num_clients = 4,
                           .seed = 7,
                           .training_max = std::chrono::seconds(1 + 1000 * delay)});
    const auto status = federation.RunToEnd();
    ASSERT_TRUE(status.has_value()) << status.error().message() << StoryOf(federation);
    if (expected.empty()) expected = federation.model_id();
    EXPECT_EQ(federation.model_id(), expected);
  }
}

TEST(FederationTest, ABadNetworkCostsTimeOnly) {
  Federation good({.sites = 3, .rounds = 2, .seed = 3});
  ASSERT_TRUE(good.RunToEnd().has_value());
  Federation bad({.sites = 3, .rounds = 2, .seed = 3, .network = BadNetwork()});
  const auto status = bad.RunToEnd();
  ASSERT_TRUE(status.has_value()) << status.error().message() << StoryOf(bad);
  EXPECT_EQ(good.model_id(), bad.model_id());
}

TEST(FederationTest, ServerThatLosesPowerGoesOnAtTheLastRecordedRound) {
  Federation federation({.sites = 3, .rounds = 3, .seed = 11});
  ASSERT_TRUE(federation.Start().has_value());
  ASSERT_TRUE(federation.RunUntil([&] { return federation.rounds_recorded() == 1; }));
  federation.KillServer(/*power_loss=*/true);
  ASSERT_TRUE(federation.RestartServer().has_value());
  ASSERT_TRUE(federation.RunUntil([&] { return federation.ended(); }));
  EXPECT_TRUE(federation.broken_promises().empty()) << StoryOf(federation);
  EXPECT_EQ(federation.rounds_recorded(), 3);
}

TEST(FederationTest, SiteThatIsKilledComesBackAndTheResultIsTheUndisturbedOne) {
  Federation undisturbed({.sites = 3, .rounds = 2, .seed = 5});
  ASSERT_TRUE(undisturbed.RunToEnd().has_value());
  Federation federation({.sites = 3, .rounds = 2, .seed = 5});
  ASSERT_TRUE(federation.Start().has_value());
  federation.world().RunFor(std::chrono::seconds(2));
  federation.KillSite(1, /*power_loss=*/true);
  federation.world().RunFor(std::chrono::minutes(5));
  ASSERT_TRUE(federation.RestartSite(1).has_value());
  ASSERT_TRUE(federation.RunUntil([&] { return federation.ended(); }));
  EXPECT_EQ(federation.model_id(), undisturbed.model_id());
}

}  // namespace
}  // namespace fed_learn
