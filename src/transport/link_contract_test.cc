#include "transport/link_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>

#include "base/hash.h"
#include "base/random.h"

namespace fed_learn {

void ScriptedServer::OnOpen(SessionId session, const Peer& peer) {
  ++calls;
  opened.emplace_back(session, peer);
}

void ScriptedServer::OnMessage(SessionId session, Json message) {
  ++calls;
  messages.emplace_back(session, std::move(message));
}

void ScriptedServer::OnClose(SessionId session, const Error& why) {
  ++calls;
  closed.emplace_back(session, why);
}

void ScriptedServer::OnGet(const BulkRequest& request, GetAnswer answer) {
  ++calls;
  requests.push_back(request);
  on_get(request, answer);
}

void ScriptedServer::OnPut(const BulkRequest& request, PutAnswer answer) {
  ++calls;
  requests.push_back(request);
  on_put(request, answer);
}

void ScriptedServer::OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                              Answer<Json> answer) {
  ++calls;
  put_ends.push_back({request, std::move(sink), complete});
  if (complete) on_put_end(put_ends.back(), answer);
}

void ScriptedClient::OnOpen() {
  ++calls;
  ++opened;
}

void ScriptedClient::OnMessage(Json message) {
  ++calls;
  messages.push_back(std::move(message));
}

void ScriptedClient::OnClose(const Error& why) {
  ++calls;
  closed.push_back(why);
}

namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::size_t kSizes[] = {0, 1, 65'535, 65'536, 1'000'003};
constexpr std::uint64_t kSinkMax = 16 << 20;

constexpr ErrorKind kKinds[] = {
    ErrorKind::kInvalidArgument,    ErrorKind::kUnauthenticated, ErrorKind::kPermissionDenied,  ErrorKind::kNotFound,
    ErrorKind::kFailedPrecondition, ErrorKind::kAlreadyExists,   ErrorKind::kResourceExhausted, ErrorKind::kCancelled,
    ErrorKind::kUnavailable,        ErrorKind::kDataLoss,        ErrorKind::kInternal,
};

std::string SomeText(std::size_t size) {
  Random random(size);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.Below(256));
  return text;
}

// Takes `gate` bytes and has no room for more, until the gate is opened: a break at an exact place.
class GatedSink : public ByteSink {
 public:
  explicit GatedSink(std::uint64_t gate) : gate_(gate) {}
  void OpenGate() { gate_ = ~std::uint64_t{0}; }

  Status Expect(std::uint64_t total) override {
    expected.push_back(total);
    return inner_.Expect(total);
  }
  std::uint64_t offset() const override { return inner_.offset(); }
  std::span<std::byte> Space() override {
    const auto space = inner_.Space();
    return space.first(std::min<std::uint64_t>(space.size(), gate_ - std::min(gate_, offset())));
  }
  void Advance(std::size_t bytes) override { inner_.Advance(bytes); }
  const std::string& text() const { return inner_.text(); }

  std::vector<std::uint64_t> expected;

 private:
  std::uint64_t gate_;
  TextSink inner_{kSinkMax};
};

}  // namespace

LinkContract::LinkContract() : pair_(GetParam()()) {
  at_server_.on_get = [](const BulkRequest& request, const ScriptedServer::GetAnswer& answer) {
    answer(std::make_shared<TextSource>("bytes of " + request.path));
  };
  at_server_.on_put = [](const BulkRequest&, const ScriptedServer::PutAnswer& answer) {
    answer(std::make_shared<TextSink>(kSinkMax));
  };
  at_server_.on_put_end = [](const ScriptedServer::PutEnd& end, const Answer<Json>& answer) {
    answer(Json{{"bytes", end.sink->offset()}});
  };
  server_ = pair_->MakeServer();
  const Status started = server_->Start(at_server_);
  EXPECT_TRUE(started.has_value()) << started.error().message();
  client_ = pair_->MakeClient("site_1");
  client_->Start(at_client_);
  other_ = pair_->MakeClient("site_2");
  other_->Start(at_other_);
}

LinkContract::~LinkContract() = default;

SessionId LinkContract::Open() {
  const std::size_t before = at_server_.opened.size();
  const int heard = at_client_.opened;
  client_->Open();
  EXPECT_TRUE(RunUntil([&] { return at_server_.opened.size() > before && at_client_.opened > heard; }));
  return at_server_.opened.empty() ? SessionId{0} : at_server_.opened.back().first;
}

Result<std::uint64_t> LinkContract::Get(const std::string& path, const std::shared_ptr<ByteSink>& sink) {
  std::optional<Result<std::uint64_t>> answer;
  client_->Get(path, sink, [&](Result<std::uint64_t> total) { answer = std::move(total); });
  EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
  return answer.value_or(Internal("no answer"));
}

Result<Json> LinkContract::Put(const std::string& path, const std::string& text, std::uint64_t offset) {
  std::optional<Result<Json>> answer;
  client_->Put(path, std::make_shared<TextSource>(text), offset,
               [&](Result<Json> reply) { answer = std::move(reply); });
  EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
  return answer.value_or(Internal("no answer"));
}

void LinkContract::Settle() {
  const std::size_t messages_before = at_server_.messages.size();
  const int opened_before = at_other_.opened;
  other_->Open();
  EXPECT_TRUE(RunUntil([&] { return at_other_.opened > opened_before; }));
  other_->Send({{"type", "settle"}});
  bool got = false;
  other_->Get("/settle", std::make_shared<TextSink>(kSinkMax), [&](const Result<std::uint64_t>&) { got = true; });
  EXPECT_TRUE(RunUntil([&] { return got && at_server_.messages.size() > messages_before; }));
  other_->Close();
}

namespace {

// --- Control ---

TEST_P(LinkContract, AnOpenedSessionIsKnownAtBothEndsAndTheServerKnowsThePeer) {
  Open();
  ASSERT_THAT(at_server_.opened, SizeIs(1));
  EXPECT_EQ(at_server_.opened[0].second.name, "site_1");
  EXPECT_EQ(at_server_.opened[0].second.role, PeerRole::kSite);
  EXPECT_NE(at_server_.opened[0].second.address, "");
  EXPECT_EQ(at_client_.opened, 1);
}

TEST_P(LinkContract, MessagesArriveWholeAndInOrder) {
  const SessionId session = Open();
  for (int i = 0; i < 200; ++i) {
    const std::string padding(i % 50 == 0 ? 20'000 : static_cast<std::size_t>(i), 'x');
    client_->Send({{"number", i}, {"padding", padding}});
    server_->Send(session, {{"number", i}, {"padding", padding}});
  }
  ASSERT_TRUE(RunUntil([&] { return at_server_.messages.size() >= 200 && at_client_.messages.size() >= 200; }));
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(at_server_.messages[i].first, session);
    EXPECT_EQ(at_server_.messages[i].second["number"], i);
    EXPECT_EQ(at_client_.messages[i]["number"], i);
    EXPECT_EQ(at_client_.messages[i]["padding"].get<std::string>().size(), i % 50 == 0 ? 20'000 : i);
  }
}

TEST_P(LinkContract, EveryKindOfValueComesThrough) {
  Open();
  const Json message = {{"text",
                         "Gr\xC3\xB6\xC3\x9F"
                         "e \"\\\n"},
                        {"none", nullptr},
                        {"float", 0.1},
                        {"large", 18446744073709551615u},
                        {"small", -5},
                        {"empty", Json::object()},
                        {"list", {1, true, "x"}}};
  client_->Send(message);
  ASSERT_TRUE(RunUntil([&] { return !at_server_.messages.empty(); }));
  EXPECT_EQ(at_server_.messages[0].second, message);
}

TEST_P(LinkContract, WithoutASessionNothingIsSent) {
  client_->Send({{"type", "lost"}});
  Open();
  client_->Send({{"type", "sent"}});
  ASSERT_TRUE(RunUntil([&] { return !at_server_.messages.empty(); }));
  EXPECT_EQ(at_server_.messages[0].second["type"], "sent");
}

TEST_P(LinkContract, TheReasonOfAServersCloseTravelsBehindWhatWasSentBefore) {
  for (const ErrorKind kind : kKinds) {
    const SessionId session = Open();
    at_client_.messages.clear();
    at_client_.closed.clear();
    at_server_.closed.clear();
    const Error why(kind, "site_1 is not wanted; ask the lead");
    server_->Send(session, {{"type", "last words"}});
    server_->Close(session, why);
    server_->Send(session, {{"type", "too late"}});
    ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty() && !at_server_.closed.empty(); }));
    EXPECT_THAT(at_client_.closed, ElementsAre(why));
    EXPECT_THAT(at_client_.messages, ElementsAre(Json{{"type", "last words"}}));
    EXPECT_THAT(at_server_.closed, ElementsAre(std::pair(session, why)));
  }
}

TEST_P(LinkContract, AClosedSessionIsFollowedByANewOne) {
  const SessionId first = Open();
  server_->Close(first, Cancelled("once more"));
  ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty(); }));
  const SessionId second = Open();
  EXPECT_NE(first, second);
  client_->Send({{"type", "here"}});
  ASSERT_TRUE(RunUntil([&] { return !at_server_.messages.empty(); }));
  EXPECT_EQ(at_server_.messages[0].first, second);
}

TEST_P(LinkContract, AnUnknownSessionIsNeitherSentToNorClosed) {
  server_->Send(SessionId{987'654'321}, {{"type", "lost"}});
  server_->Close(SessionId{987'654'321}, Internal("lost"));
  const SessionId session = Open();
  server_->Send(session, {{"type", "sent"}});
  ASSERT_TRUE(RunUntil([&] { return !at_client_.messages.empty(); }));
  EXPECT_EQ(at_client_.messages[0]["type"], "sent");
  EXPECT_THAT(at_server_.closed, SizeIs(0));
}

TEST_P(LinkContract, TheClientsCloseIsHeardByTheServerOnly) {
  const SessionId session = Open();
  client_->Send({{"type", "quit"}});
  client_->Close();
  ASSERT_TRUE(RunUntil([&] { return !at_server_.closed.empty(); }));
  EXPECT_EQ(at_server_.closed[0].first, session);
  EXPECT_EQ(at_server_.closed[0].second.kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(at_server_.messages, ElementsAre(std::pair(session, Json{{"type", "quit"}})));
  Settle();
  EXPECT_THAT(at_client_.closed, SizeIs(0));
  EXPECT_THAT(at_server_.closed, SizeIs(1));
}

TEST_P(LinkContract, TwoClientsHaveTwoSessions) {
  const SessionId first = Open();
  other_->Open();
  ASSERT_TRUE(RunUntil([&] { return at_other_.opened == 1; }));
  const SessionId second = at_server_.opened.back().first;
  EXPECT_NE(first, second);
  server_->Close(first, Cancelled("only this one"));
  server_->Send(second, {{"type", "still here"}});
  ASSERT_TRUE(RunUntil([&] { return !at_other_.messages.empty() && !at_client_.closed.empty(); }));
  EXPECT_THAT(at_other_.closed, SizeIs(0));
  EXPECT_THAT(at_client_.messages, SizeIs(0));
}

TEST_P(LinkContract, WithoutAServerOpeningEndsInUnavailable) {
  server_.reset();
  client_->Open();
  ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty(); }));
  EXPECT_EQ(at_client_.closed[0].kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(at_client_.opened, 0);
  EXPECT_EQ(Get("/x", std::make_shared<TextSink>(kSinkMax)).error().kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(Put("/x", "x").error().kind(), ErrorKind::kUnavailable);
}

TEST_P(LinkContract, AClientFindsTheServerThatWasStartedAgain) {
  Open();
  server_.reset();
  ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty(); }));
  server_ = pair_->MakeServer();
  const Status started = server_->Start(at_server_);
  ASSERT_TRUE(started.has_value()) << started.error().message();
  Open();
  EXPECT_TRUE(Put("/x", "x").has_value());
}

TEST_P(LinkContract, NothingIsCalledBackFromInsideACall) {
  client_->Open();
  client_->Get("/x", std::make_shared<TextSink>(kSinkMax), [](const Result<std::uint64_t>&) {});
  client_->Put("/x", std::make_shared<TextSource>("x"), 5, [](const Result<Json>&) {});
  EXPECT_EQ(at_client_.calls, 0u);
  EXPECT_EQ(at_server_.calls, 0u);
  ASSERT_TRUE(RunUntil([&] { return at_client_.opened == 1 && at_server_.opened.size() == 1; }));
  const std::size_t calls = at_server_.calls;
  server_->Close(at_server_.opened[0].first, Cancelled("enough"));
  EXPECT_EQ(at_server_.calls, calls);
}

// --- Bulk ---

TEST_P(LinkContract, AGetBringsEveryByteWithoutASession) {
  for (const std::size_t size : kSizes) {
    const std::string text = SomeText(size);
    at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) {
      answer(std::make_shared<TextSource>(text));
    };
    const auto sink = std::make_shared<TextSink>(kSinkMax);
    const Result<std::uint64_t> total = Get("/v1/object", sink);
    ASSERT_TRUE(total.has_value()) << total.error().message();
    EXPECT_EQ(*total, size);
    EXPECT_EQ(sink->offset(), size);
    EXPECT_TRUE(sink->text() == text) << size;
  }
  EXPECT_THAT(at_server_.opened, SizeIs(0));
}

TEST_P(LinkContract, APutBringsEveryByteAndTheReplyComesBack) {
  for (const std::size_t size : kSizes) {
    const std::string text = SomeText(size);
    const Result<Json> reply = Put("/v1/object", text);
    ASSERT_TRUE(reply.has_value()) << reply.error().message();
    EXPECT_EQ(*reply, (Json{{"bytes", size}}));
    const ScriptedServer::PutEnd& end = at_server_.put_ends.back();
    EXPECT_TRUE(end.complete);
    EXPECT_EQ(end.request.total, size);
    EXPECT_EQ(end.request.offset, 0u);
    EXPECT_TRUE(static_cast<TextSink&>(*end.sink).text() == text) << size;
  }
  EXPECT_THAT(at_server_.put_ends, SizeIs(std::size(kSizes)));
}

TEST_P(LinkContract, AnObjectInManyPiecesArrivesInOne) {
  class Pieces : public ByteSource {
   public:
    explicit Pieces(std::string text) : text_(std::move(text)) {}
    std::uint64_t size() const override { return text_.size(); }
    std::span<const std::byte> At(std::uint64_t offset) const override {
      const auto rest = AsBytes(text_).subspan(offset);
      return rest.first(std::min<std::size_t>(rest.size(), 1 + offset % 999));
    }

   private:
    std::string text_;
  };
  const std::string text = SomeText(100'003);
  at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) {
    answer(std::make_shared<Pieces>(text));
  };
  const auto sink = std::make_shared<TextSink>(kSinkMax);
  EXPECT_TRUE(Get("/v1/object", sink).has_value());
  EXPECT_TRUE(sink->text() == text);
}

TEST_P(LinkContract, ABrokenGetGoesOnWhereItStopped) {
  for (const std::uint64_t gate : {0, 1, 65'536, 700'001, 1'000'003}) {
    const std::string text = SomeText(1'000'003);
    at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) {
      answer(std::make_shared<TextSource>(text));
    };
    const auto sink = std::make_shared<GatedSink>(gate);
    EXPECT_EQ(Get("/v1/object", sink).has_value(), gate == text.size());
    EXPECT_EQ(sink->offset(), gate);
    sink->OpenGate();
    const Result<std::uint64_t> total = Get("/v1/object", sink);
    ASSERT_TRUE(total.has_value()) << total.error().message();
    EXPECT_EQ(*total, text.size());
    EXPECT_EQ(at_server_.requests.back().offset, gate);
    EXPECT_TRUE(sink->text() == text) << gate;
    EXPECT_THAT(sink->expected, ElementsAre(text.size(), text.size()));
  }
}

TEST_P(LinkContract, ABrokenPutGoesOnWhereItStopped) {
  for (const std::uint64_t gate : {0, 1, 65'536, 700'001}) {
    const std::string text = SomeText(1'000'003);
    const auto sink = std::make_shared<GatedSink>(gate);
    at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { answer(sink); };
    at_server_.put_ends.clear();
    EXPECT_FALSE(Put("/v1/object", text).has_value());
    ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
    EXPECT_FALSE(at_server_.put_ends[0].complete);
    EXPECT_EQ(at_server_.put_ends[0].sink, sink);
    EXPECT_EQ(sink->offset(), gate);
    sink->OpenGate();
    const Result<Json> reply = Put("/v1/object", text, gate);
    ASSERT_TRUE(reply.has_value()) << reply.error().message();
    EXPECT_EQ(at_server_.requests.back().offset, gate);
    EXPECT_EQ(at_server_.requests.back().total, text.size());
    EXPECT_TRUE(sink->text() == text) << gate;
    EXPECT_THAT(sink->expected, ElementsAre(text.size(), text.size()));
  }
}

TEST_P(LinkContract, APutOfNothingButTheEndIsComplete) {
  const std::string text = SomeText(1000);
  const auto sink = std::make_shared<TextSink>(kSinkMax);
  ASSERT_TRUE(sink->Expect(1000).has_value());
  sink->Advance(1000);
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { answer(sink); };
  const Result<Json> reply = Put("/v1/object", text, 1000);
  ASSERT_TRUE(reply.has_value()) << reply.error().message();
  EXPECT_TRUE(at_server_.put_ends.back().complete);
}

TEST_P(LinkContract, AGetBeyondTheEndIsRefused) {
  const auto sink = std::make_shared<TextSink>(kSinkMax);
  ASSERT_TRUE(sink->Expect(1000).has_value());
  sink->Advance(1000);
  EXPECT_EQ(Get("/short", sink).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(sink->offset(), 1000u);
}

TEST_P(LinkContract, APutThatDoesNotBeginWhereTheSinkStandsIsRefused) {
  EXPECT_EQ(Put("/v1/object", SomeText(1000), 500).error().kind(), ErrorKind::kFailedPrecondition);
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
  EXPECT_EQ(at_server_.put_ends[0].sink->offset(), 0u);
}

TEST_P(LinkContract, ARefusedGetTellsWhy) {
  for (const ErrorKind kind : kKinds) {
    const Error why(kind, "tensor 'a\"b\\': \xC3\xBC");
    at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) { answer(why); };
    const auto sink = std::make_shared<GatedSink>(kSinkMax);
    EXPECT_EQ(Get("/v1/object", sink).error(), why);
    EXPECT_THAT(sink->expected, SizeIs(0));
  }
}

TEST_P(LinkContract, APutIsRefusedBeforeItsBody) {
  for (const ErrorKind kind : kKinds) {
    for (const std::size_t size : {0, 1'000'003}) {
      const Error why(kind, "not from site_1; ask the lead");
      at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { answer(why); };
      EXPECT_EQ(Put("/v1/object", SomeText(size)).error(), why);
    }
  }
  EXPECT_THAT(at_server_.put_ends, SizeIs(0));
}

TEST_P(LinkContract, APutIsRefusedAfterItsBody) {
  for (const ErrorKind kind : kKinds) {
    for (const std::size_t size : {0, 1000}) {
      const Error why(kind, "the bytes are not what their hash says; send them again");
      at_server_.on_put_end = [&](const ScriptedServer::PutEnd&, const Answer<Json>& answer) { answer(why); };
      EXPECT_EQ(Put("/v1/object", SomeText(size)).error(), why);
    }
  }
}

TEST_P(LinkContract, ABodyThatTheServersSinkDoesNotExpectIsRefused) {
  at_server_.on_put = [](const BulkRequest&, const ScriptedServer::PutAnswer& answer) {
    answer(std::make_shared<TextSink>(999));
  };
  EXPECT_EQ(Put("/v1/object", SomeText(1000)).error().kind(), ErrorKind::kInvalidArgument);
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
}

TEST_P(LinkContract, ABodyThatTheClientsSinkDoesNotExpectIsNotFetched) {
  at_server_.on_get = [](const BulkRequest&, const ScriptedServer::GetAnswer& answer) {
    answer(std::make_shared<TextSource>(SomeText(1'000'003)));
  };
  const auto sink = std::make_shared<TextSink>(999);
  EXPECT_EQ(Get("/v1/object", sink).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(sink->offset(), 0u);
  const auto next = std::make_shared<TextSink>(kSinkMax);
  EXPECT_TRUE(Get("/v1/object", next).has_value());
}

TEST_P(LinkContract, AnAnswerMayComeLateAndInAnyOrder) {
  std::vector<ScriptedServer::PutAnswer> waiting;
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { waiting.push_back(answer); };
  std::vector<ScriptedServer::GetAnswer> getting;
  at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) { getting.push_back(answer); };
  int put = 0;
  for (int i = 0; i < 3; ++i) {
    client_->Put("/v1/object", std::make_shared<TextSource>(SomeText(1000)), 0, [&](const Result<Json>& reply) {
      EXPECT_TRUE(reply.has_value());
      ++put;
    });
  }
  bool got = false;
  client_->Get("/x", std::make_shared<TextSink>(kSinkMax), [&](const Result<std::uint64_t>&) { got = true; });
  ASSERT_TRUE(RunUntil([&] { return waiting.size() == 3 && getting.size() == 1; }));
  EXPECT_EQ(put, 0);
  getting[0](std::make_shared<TextSource>("x"));
  ASSERT_TRUE(RunUntil([&] { return got; }));
  for (std::size_t i = 3; i-- > 0;) {
    waiting[i](std::make_shared<TextSink>(kSinkMax));
    ASSERT_TRUE(RunUntil([&] { return put == 3 - static_cast<int>(i); }));
  }
}

TEST_P(LinkContract, ADroppedAnswerCountsAsUnavailable) {
  at_server_.on_put_end = [](const ScriptedServer::PutEnd&, const Answer<Json>&) {};
  EXPECT_EQ(Put("/v1/object", "x").error().kind(), ErrorKind::kUnavailable);
  at_server_.on_put = [](const BulkRequest&, const ScriptedServer::PutAnswer&) {};
  EXPECT_EQ(Put("/v1/object", "x").error().kind(), ErrorKind::kUnavailable);
  at_server_.on_get = [](const BulkRequest&, const ScriptedServer::GetAnswer&) {};
  EXPECT_EQ(Get("/x", std::make_shared<TextSink>(kSinkMax)).error().kind(), ErrorKind::kUnavailable);
}

TEST_P(LinkContract, PeerTokenAndPathReachTheServerAsTheyAre) {
  const std::string path = "/v1/models/a%20b/data?tensors=1,4-9";
  EXPECT_TRUE(Get(path, std::make_shared<TextSink>(kSinkMax)).has_value());
  EXPECT_EQ(at_server_.requests.back().token, "");
  EXPECT_EQ(at_server_.requests.back().path, path);
  EXPECT_EQ(at_server_.requests.back().peer.name, "site_1");
  client_->SetToken("s3cret");
  EXPECT_TRUE(Get(path, std::make_shared<TextSink>(kSinkMax)).has_value());
  EXPECT_EQ(at_server_.requests.back().token, "s3cret");
  client_->SetToken("other");
  EXPECT_TRUE(Put(path, "x").has_value());
  EXPECT_EQ(at_server_.requests.back().token, "other");
  EXPECT_EQ(at_server_.requests.back().path, path);
  EXPECT_EQ(at_server_.put_ends.back().request.token, "other");
}

TEST_P(LinkContract, ManyTransfersGoOnAtOnce) {
  Open();
  at_server_.on_get = [](const BulkRequest& request, const ScriptedServer::GetAnswer& answer) {
    answer(std::make_shared<TextSource>(SomeText(std::stoul(request.path.substr(1)))));
  };
  int done = 0;
  std::vector<std::shared_ptr<TextSink>> sinks;
  for (std::size_t i = 0; i < 8; ++i) {
    ClientLink& link = i % 2 == 0 ? *client_ : *other_;
    const std::size_t size = 100'000 + i;
    sinks.push_back(std::make_shared<TextSink>(kSinkMax));
    link.Get("/" + std::to_string(size), sinks.back(), [&, size](const Result<std::uint64_t>& total) {
      EXPECT_EQ(total.value_or(0), size);
      ++done;
    });
    link.Put("/put", std::make_shared<TextSource>(SomeText(size)), 0, [&, size](const Result<Json>& reply) {
      EXPECT_EQ(reply.value_or(Json()), (Json{{"bytes", size}}));
      ++done;
    });
  }
  ASSERT_TRUE(RunUntil([&] { return done == 16; }));
  for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(sinks[i]->text() == SomeText(100'000 + i));
  EXPECT_THAT(at_server_.put_ends, SizeIs(8));
}

// --- Ends ---

// A PUT that waits at the server for its sink, and a GET for its source.
struct Waiting {
  ScriptedServer::PutAnswer put;
  ScriptedServer::GetAnswer get;
  bool answered = false;
};

TEST_P(LinkContract, ACloseForgetsTransfersAndLeavesTheLinkUsable) {
  Open();
  Waiting waiting;
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { waiting.put = answer; };
  client_->Put("/v1/object", std::make_shared<TextSource>("x"), 0,
               [&](const Result<Json>&) { waiting.answered = true; });
  ASSERT_TRUE(RunUntil([&] { return waiting.put != nullptr; }));
  client_->Close();
  const auto sink = std::make_shared<TextSink>(kSinkMax);
  std::exchange(waiting.put, nullptr)(sink);
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
  EXPECT_EQ(at_server_.put_ends[0].sink, sink);
  at_server_.on_put = [](const BulkRequest&, const ScriptedServer::PutAnswer& answer) {
    answer(std::make_shared<TextSink>(kSinkMax));
  };
  Open();
  EXPECT_TRUE(Put("/v1/object", "y").has_value());
  EXPECT_FALSE(waiting.answered);
  EXPECT_THAT(at_client_.closed, SizeIs(0));
}

TEST_P(LinkContract, ADestroyedClientIsNotCalledBackAndTheServerNotices) {
  const SessionId session = Open();
  Waiting waiting;
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { waiting.put = answer; };
  client_->Put("/v1/object", std::make_shared<TextSource>("x"), 0,
               [&](const Result<Json>&) { waiting.answered = true; });
  client_->Get("/v1/object", std::make_shared<TextSink>(kSinkMax),
               [&](const Result<std::uint64_t>&) { waiting.answered = true; });
  ASSERT_TRUE(RunUntil([&] { return waiting.put != nullptr; }));
  waiting.answered = false;
  const std::size_t calls = at_client_.calls;
  server_->Send(session, {{"type", "unheard"}});
  client_.reset();
  ASSERT_TRUE(RunUntil([&] { return !at_server_.closed.empty(); }));
  EXPECT_EQ(at_server_.closed[0].first, session);
  std::exchange(waiting.put, nullptr)(std::make_shared<TextSink>(kSinkMax));
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
  Settle();
  EXPECT_EQ(at_client_.calls, calls);
  EXPECT_FALSE(waiting.answered);
}

TEST_P(LinkContract, ADestroyedServerIsNotCalledBackAndTheClientNotices) {
  Open();
  Waiting waiting;
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { waiting.put = answer; };
  at_server_.on_get = [&](const BulkRequest&, const ScriptedServer::GetAnswer& answer) { waiting.get = answer; };
  std::optional<Result<Json>> reply;
  std::optional<Result<std::uint64_t>> total;
  client_->Put("/v1/object", std::make_shared<TextSource>("x"), 0, [&](Result<Json> r) { reply = std::move(r); });
  client_->Get("/v1/object", std::make_shared<TextSink>(kSinkMax),
               [&](Result<std::uint64_t> t) { total = std::move(t); });
  ASSERT_TRUE(RunUntil([&] { return waiting.put != nullptr && waiting.get != nullptr; }));
  client_->Send({{"type", "unheard"}});
  server_.reset();
  const std::size_t calls = at_server_.calls;
  ASSERT_TRUE(RunUntil([&] { return reply && total && !at_client_.closed.empty(); }));
  EXPECT_EQ(reply->error().kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(total->error().kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(at_client_.closed[0].kind(), ErrorKind::kUnavailable);
  waiting.put(std::make_shared<TextSink>(kSinkMax));
  waiting.get(NotFound("nobody hears this"));
  client_->Open();
  ASSERT_TRUE(RunUntil([&] { return at_client_.closed.size() == 2; }));
  EXPECT_EQ(at_server_.calls, calls);
}

TEST_P(LinkContract, ABrokenNetworkEndsSessionsAndTransfersAtBothSides) {
  const SessionId session = Open();
  Waiting waiting;
  at_server_.on_put = [&](const BulkRequest&, const ScriptedServer::PutAnswer& answer) { waiting.put = answer; };
  std::optional<Result<Json>> reply;
  client_->Put("/v1/object", std::make_shared<TextSource>("x"), 0, [&](Result<Json> r) { reply = std::move(r); });
  ASSERT_TRUE(RunUntil([&] { return waiting.put != nullptr; }));
  if (!pair_->Break("site_1")) GTEST_SKIP() << "this link cannot be broken by a test";
  ASSERT_TRUE(RunUntil([&] { return reply && !at_client_.closed.empty() && !at_server_.closed.empty(); }));
  EXPECT_EQ(reply->error().kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(at_client_.closed[0].kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(at_server_.closed[0].first, session);
  EXPECT_EQ(at_server_.closed[0].second.kind(), ErrorKind::kUnavailable);
  waiting.put(std::make_shared<TextSink>(kSinkMax));
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
  Open();
}

}  // namespace
}  // namespace fed_learn
