#include "transport/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fed_learn {
namespace {

using testing::HasSubstr;

// What a message says after it has travelled.
Json Travelled(const Message& message) {
  const auto received = MessageFromJson(Json::parse(ToJson(message).dump()));
  return received.has_value() ? ToJson(*received) : Json(received.error().message());
}

TEST(MessagesTest, EveryMessageSurvivesTheWay) {
  for (const Message& message :
       {Message(Hello{{1, 2}, {"zeros"}, "liver", "fed_learn 1"}), Message(Welcome{1, {"zeros"}, "token", 60}),
        Message(RoundOffer{1, 2, 0, 10, ~std::uint64_t{0}, "abc", true}), Message(Heartbeat{"training", 0.5, "step 3"}),
        Message(Failed{1, 2, "no memory"}), Message(Done{1, false, "aborted", "abc"}), Message(Quit{}),
        Message(Watch{}), Message(Abort{"enough"}), Message(StatusPush{{{"round", 3}}})}) {
    EXPECT_EQ(Travelled(message), ToJson(message));
  }
}

TEST(MessagesTest, UnknownKeysOfANewerPeerAreIgnored) {
  Json json = ToJson(Message(Quit{}));
  json["since"] = 2;
  EXPECT_TRUE(MessageFromJson(json).has_value());
}

TEST(MessagesTest, MissingKeyAndWrongTypeAreNamed) {
  Json json = ToJson(Message(Hello{{1}, {}, "liver", ""}));
  json.erase("task_name");
  EXPECT_THAT(MessageFromJson(json).error().message(), HasSubstr("'task_name' is missing"));
  json["task_name"] = 5;
  EXPECT_THAT(MessageFromJson(json).error().message(), HasSubstr("'task_name' is of another type"));
  json["task_name"] = "liver";
  json["versions"] = {1, "two"};
  EXPECT_THAT(MessageFromJson(json).error().message(), HasSubstr("'versions'"));
}

TEST(MessagesTest, WhatIsNoMessageIsRefused) {
  for (const Json& json :
       {Json(), Json(5), Json::array(), Json::object(), Json{{"type", 5}}, Json{{"type", "nonsense"}},
        Json{{"type", "round"}, {"run", 1}, {"round", 1e300}, {"model", "a"}},
        Json{{"type", "round"}, {"run", 1}, {"round", std::int64_t{1} << 40}, {"model", "a"}}}) {
    EXPECT_FALSE(MessageFromJson(json).has_value()) << json;
  }
}

TEST(MessagesTest, ContributionHeaderSurvivesTheWay) {
  const ContributionHeader header{3, 4, "abc", 2.5, UpdateKind::kWeights, {{"train/loss", 0.25}}};
  const auto received = ContributionHeaderFromJson(Json::parse(ToJson(header).dump()));
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(ToJson(*received), ToJson(header));
}

TEST(MessagesTest, UpdateKindIsOneOfTwo) {
  Json json = ToJson(ContributionHeader{.base_model = "a"});
  json["kind"] = "gradient";
  EXPECT_THAT(ContributionHeaderFromJson(json).error().message(), HasSubstr("not 'gradient'"));
}

TEST(MessagesTest, GrantSurvivesTheWay) {
  for (const UploadGrant& grant : {UploadGrant{.counted = true}, UploadGrant{false, "u", "0-3", 100, 40}}) {
    const auto received = UploadGrantFromJson(Json::parse(ToJson(grant).dump()));
    ASSERT_TRUE(received.has_value());
    EXPECT_EQ(ToJson(*received), ToJson(grant));
  }
  EXPECT_FALSE(UploadGrantFromJson({{"state", "send"}}).has_value());
}

}  // namespace
}  // namespace fed_learn
