#include "server/upload_desk.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "base/simulated_loop.h"

namespace fed_learn {
namespace {

class UploadDeskTest : public testing::Test {
 protected:
  UploadDeskTest() { desk_.StartRound({}, /*slots=*/2); }

  static UploadOffer OfferOf(const std::string& site, float value = 1) {
    ModelData model;
    EXPECT_TRUE(model.Add("weight", Tensor::Of<float>({2}, std::array{value, value})).has_value());
    const auto encoded = EncodeModel(std::move(model));
    return {.site = site, .header = {.run = 1}, .manifest = encoded->manifest, .manifest_id = encoded->id};
  }

  // Offers, and remembers the answer under the site's name.
  void Offer(const std::string& site, float value = 1, int lane = 0) {
    answers_[site].reset();
    UploadOffer offer = OfferOf(site, value);
    offer.lane = lane;
    desk_.Offer(std::move(offer), [this, site](Result<UploadGrant> grant) { answers_[site] = std::move(grant); });
  }
  bool Granted(const std::string& site) const { return answers_.at(site) && answers_.at(site)->has_value(); }
  const UploadGrant& GrantOf(const std::string& site) const { return **answers_.at(site); }

  std::shared_ptr<ByteSink> Attach(const std::string& site) {
    auto sink = desk_.Attach(site, GrantOf(site).upload);
    EXPECT_TRUE(sink.has_value());
    EXPECT_TRUE((*sink)->Expect(8).has_value());
    return *sink;
  }
  // The bytes of a granted upload come.
  void Finish(const std::string& site) {
    const auto sink = Attach(site);
    Receive(*sink, 8);
    EXPECT_TRUE(desk_.Detach(GrantOf(site).upload, sink, true).has_value());
  }
  static void Receive(ByteSink& sink, std::size_t bytes) { sink.Advance(std::min(bytes, sink.Space().size())); }

  SimulatedLoop loop_;
  UploadDesk desk_{loop_, {.grace = std::chrono::minutes(2)}, std::make_shared<BufferPool>()};
  std::map<std::string, std::optional<Result<UploadGrant>>> answers_;
};

TEST_F(UploadDeskTest, AThirdSiteWaitsUntilOneOfTwoSlotsIsFree) {
  for (const char* site : {"a", "b", "c"}) Offer(site);
  EXPECT_TRUE(Granted("a"));
  EXPECT_TRUE(Granted("b"));
  EXPECT_FALSE(Granted("c"));
  EXPECT_EQ(desk_.waiting(), 1u);
  const auto sink = Attach("a");
  Receive(*sink, 8);
  EXPECT_TRUE(desk_.Detach(GrantOf("a").upload, sink, true).has_value());
  EXPECT_TRUE(Granted("c"));
}

TEST_F(UploadDeskTest, ALaneWithoutUploadsIsServedBeforeOneThatHasSome) {
  for (const char* site : {"a", "b", "c"}) Offer(site, 1, /*lane=*/0);
  for (const char* site : {"d", "e"}) Offer(site, 1, /*lane=*/1);
  Finish("a");
  EXPECT_TRUE(Granted("d")) << "lane 0 has an upload, lane 1 has none";
  EXPECT_FALSE(Granted("c"));
  Finish("d");
  EXPECT_TRUE(Granted("e"));
  Finish("b");
  EXPECT_TRUE(Granted("c")) << "now it is lane 0 that has none";
}

TEST_F(UploadDeskTest, WithinALaneWhoAskedFirstIsServedFirst) {
  for (const char* site : {"a", "b", "c", "d"}) Offer(site);
  Finish("b");
  EXPECT_TRUE(Granted("c"));
  EXPECT_FALSE(Granted("d"));
}

TEST_F(UploadDeskTest, ABrokenUploadGoesOnAtItsOffset) {
  Offer("a");
  const auto sink = Attach("a");
  Receive(*sink, 5);
  EXPECT_FALSE(desk_.Detach(GrantOf("a").upload, sink, false).has_value());
  Offer("a");
  EXPECT_EQ(GrantOf("a").offset, 5u);
  EXPECT_EQ(desk_.slots_used(), 1);
}

TEST_F(UploadDeskTest, ASecondConnectionWaitsForTheEndOfTheFirst) {
  Offer("a");
  const auto sink = Attach("a");
  const std::string upload = GrantOf("a").upload;
  Offer("a");
  EXPECT_FALSE(Granted("a"));
  EXPECT_EQ(desk_.Attach("a", upload).error().kind(), ErrorKind::kFailedPrecondition);
  desk_.Detach(upload, sink, false);
  EXPECT_TRUE(Granted("a"));
}

TEST_F(UploadDeskTest, AnotherUpdateOfTheSameSiteReplacesTheFirst) {
  Offer("a", 1);
  const auto old_sink = Attach("a");
  const std::string old_upload = GrantOf("a").upload;
  Offer("a", 2);
  ASSERT_TRUE(Granted("a"));
  EXPECT_EQ(desk_.slots_used(), 2) << "the replaced one still has a connection that fills its buffer";
  Receive(*old_sink, 8);
  EXPECT_FALSE(desk_.Detach(old_upload, old_sink, true).has_value()) << "what was replaced never counts";
  EXPECT_EQ(desk_.slots_used(), 1);
}

TEST_F(UploadDeskTest, AnUploadWithoutAConnectionLosesItsSlotAfterItsGraceIfSomebodyWaits) {
  for (const char* site : {"a", "b", "c"}) Offer(site);
  loop_.RunFor(std::chrono::seconds(119));
  EXPECT_FALSE(Granted("c"));
  loop_.RunFor(std::chrono::seconds(2));
  EXPECT_TRUE(Granted("c"));
  EXPECT_EQ(desk_.slots_used(), 2);
}

TEST_F(UploadDeskTest, WhoWaitsForItsOwnConnectionSetsNoTimer) {
  Offer("a");
  const auto sink = Attach("a");
  Offer("b");
  Offer("a");
  EXPECT_FALSE(Granted("a"));
  EXPECT_TRUE(loop_.RunUntilIdle(std::chrono::hours(1)));
  EXPECT_EQ(desk_.slots_used(), 2);
}

TEST_F(UploadDeskTest, WhileNobodyWaitsABrokenUploadKeepsItsSlot) {
  Offer("a");
  loop_.RunFor(std::chrono::hours(10));
  EXPECT_EQ(desk_.slots_used(), 1);
}

TEST_F(UploadDeskTest, TheEndOfARoundAnswersWhoeverWaits) {
  for (const char* site : {"a", "b", "c"}) Offer(site);
  const auto sink = Attach("a");
  desk_.EndRound(FailedPrecondition("Contrib: closed"));
  ASSERT_TRUE(answers_["c"]);
  EXPECT_EQ(answers_["c"]->error().message(), "Contrib: closed");
  EXPECT_EQ(desk_.slots_used(), 1) << "a connection still fills the buffer";
  EXPECT_FALSE(desk_.Detach(GrantOf("a").upload, sink, true).has_value());
  EXPECT_EQ(desk_.slots_used(), 0);
}

TEST_F(UploadDeskTest, AnUploadIsForTheSiteThatOfferedIt) {
  Offer("a");
  EXPECT_EQ(desk_.Attach("b", GrantOf("a").upload).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(desk_.Attach("a", "nonsense").error().kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace fed_learn
