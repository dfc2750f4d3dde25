#include "transport/https/http_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

TEST(HttpHeadTest, SizeIsToTheBlankLine) {
  EXPECT_EQ(HeadSize(""), 0u);
  EXPECT_EQ(HeadSize("GET / HTTP/1.1\r\n"), 0u);
  EXPECT_EQ(HeadSize("a\r\n\r\nbody"), 5u);
}

TEST(HttpHeadTest, ARequestIsReadWhole) {
  const auto head = ParseRequestHead(
      "PUT /v1/x?y=1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 7\r\nContent-Range: bytes 3-9/10\r\n"
      "Expect: 100-Continue\r\nX-Fed-Learn-Token: abc\r\n\r\n");
  ASSERT_TRUE(head.has_value()) << head.error().message();
  EXPECT_EQ(head->method, "PUT");
  EXPECT_EQ(head->target, "/v1/x?y=1");
  EXPECT_EQ(head->token, "abc");
  EXPECT_EQ(head->content_length, 7u);
  EXPECT_EQ(head->content_range->first, 3u);
  EXPECT_EQ(head->content_range->size, 7u);
  EXPECT_EQ(head->content_range->total, 10u);
  EXPECT_TRUE(head->expects_continue);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_FALSE(head->chunked);
  EXPECT_FALSE(head->wants_websocket);
}

TEST(HttpHeadTest, AnUpgradeIsSeen) {
  const auto head =
      ParseRequestHead("GET /v1/control HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
  ASSERT_TRUE(head.has_value());
  EXPECT_TRUE(head->wants_websocket);
}

TEST(HttpHeadTest, WhatIsNotARequestIsRefused) {
  for (const std::string text :
       {"", "\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Range: bytes 5-4/9\r\n\r\n"}) {
    EXPECT_FALSE(ParseRequestHead(text).has_value()) << text;
  }
}

TEST(HttpHeadTest, AResponseIsRead) {
  const auto head = ParseResponseHead(
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n"
      "Connection: close\r\n\r\n");
  ASSERT_TRUE(head.has_value()) << head.error().message();
  EXPECT_EQ(head->status, 206);
  EXPECT_EQ(head->content_length, 5u);
  EXPECT_EQ(head->content_range->first, 5u);
  EXPECT_FALSE(head->keep_alive);
}

TEST(HttpHeadTest, RangesOfOurFormsOnly) {
  EXPECT_EQ(ParseRange("bytes=0-")->first, 0u);
  EXPECT_FALSE(ParseRange("bytes=7-")->last.has_value());
  EXPECT_EQ(ParseRange("bytes=7-7")->last, 7u);
  for (const std::string text : {"", "bytes=", "bytes=-5", "bytes=a-", "bytes=5-4", "bytes=1-2,4-5", "lines=1-",
                                 "bytes=1", "bytes=99999999999999999999-", "bytes= 1-", "bytes=+1-"}) {
    EXPECT_FALSE(ParseRange(text).has_value()) << text;
  }
}

TEST(HttpHeadTest, ContentRangesOfOurFormsOnly) {
  EXPECT_EQ(FormatContentRange(*ParseContentRange("bytes 3-9/10")), "bytes 3-9/10");
  EXPECT_EQ(FormatContentRange(*ParseContentRange("bytes */10")), "bytes */10");
  EXPECT_EQ(ParseContentRange("bytes */10")->first, 10u);
  for (const std::string text : {"", "bytes ", "bytes 3-9", "bytes 3-9/*", "bytes 3-10/10", "bytes 9-3/10",
                                 "bytes -/10", "bytes 0-0/0", "bytes=3-9/10"}) {
    EXPECT_FALSE(ParseContentRange(text).has_value()) << text;
  }
}

TEST(HttpHeadTest, AnErrorComesBackAsItWasSent) {
  const Error error = AlreadyExists("site 'a' has sent \"round\" 3\nalready");
  EXPECT_EQ(ErrorFromBody(StatusOf(error.kind()), DumpJson(ErrorToJson(error)), "server"), error);
  EXPECT_EQ(ErrorFromClosedMessage(Json::parse(ClosedMessage(error))), error);
  EXPECT_FALSE(ErrorFromClosedMessage(Json{{"type", "welcome"}}).has_value());
  EXPECT_EQ(ErrorFromClosedMessage(Json{{"type", "closed"}})->kind(), ErrorKind::kUnavailable);
}

TEST(HttpHeadTest, AProxysPageBecomesAnErrorOfItsStatus) {
  const Error error = ErrorFromBody(502, "<html>\nno", "server:1");
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("server:1 answered 502 Bad Gateway"));
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
}

TEST(HttpHeadTest, EveryKindSurvivesItsStatusOrComesClose) {
  for (const Error& error :
       {InvalidArgument(""), Unauthenticated(""), PermissionDenied(""), NotFound(""), FailedPrecondition(""),
        ResourceExhausted(""), Cancelled(""), Unavailable(""), DataLoss(""), Internal("")}) {
    EXPECT_EQ(KindOf(StatusOf(error.kind())), error.kind()) << ToString(error.kind());
    EXPECT_NE(ReasonOf(StatusOf(error.kind())), "<unknown-status>");
  }
}

TEST(HttpHeadTest, JsonThatIsNotUtf8IsStillSent) { EXPECT_EQ(DumpJson(Json("a\xff")), "\"a\xef\xbf\xbd\""); }

}  // namespace
}  // namespace fed_learn
