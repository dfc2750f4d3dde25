// What a server answers to peers of every kind, over the memory link. Whole federations: simulate/federation_test.cc.

#include "server/federated_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "aggregation/model_aggregator.h"
#include "base/simulated_disk.h"
#include "base/simulated_loop.h"
#include "server/memory_store.h"
#include "transport/memory/client.h"
#include "transport/memory/network.h"
#include "transport/memory/server.h"

namespace fed_learn {
namespace {

using testing::HasSubstr;

constexpr char kFolder[] = "server";

ModelData SomeModel(float value) {
  ModelData model;
  EXPECT_TRUE(model.Add("weight", Tensor::Of<float>({3}, std::array{value, 2 * value, 3 * value})).has_value());
  return model;
}

// A peer that says and sends what the test wants.
class TestPeer : public ClientLinkHandler {
 public:
  TestPeer(MemoryNetwork& network, SimulatedLoop& world, Peer self) : world_(world), link_(network, world, self) {
    link_.Start(*this);
    link_.Open();
    world_.RunUntilIdle(std::chrono::seconds(1));
  }

  void Say(const Message& message) { SayJson(ToJson(message)); }
  void SayJson(Json json) {
    link_.Send(std::move(json));
    world_.RunUntilIdle(std::chrono::seconds(1));
  }

  // The last message of this type, or an empty one.
  Json Last(const std::string& type) const {
    for (auto it = heard_.rbegin(); it != heard_.rend(); ++it) {
      if ((*it)["type"] == type) return *it;
    }
    return Json::object();
  }

  Result<Json> Put(const std::string& path, std::string body) {
    return PutSource(path, std::make_shared<TextSource>(std::move(body)));
  }
  Result<Json> PutSource(const std::string& path, std::shared_ptr<const ByteSource> source) {
    std::optional<Result<Json>> answer;
    link_.Put(path, std::move(source), 0, [&](Result<Json> reply) { answer = std::move(reply); });
    world_.RunUntil([&] { return answer.has_value(); }, std::chrono::seconds(10));
    return answer ? *answer : Result<Json>(Unavailable("no answer"));
  }
  Result<std::string> Get(const std::string& path) {
    auto sink = std::make_shared<TextSink>(1 << 20);
    std::optional<Result<std::uint64_t>> answer;
    link_.Get(path, sink, [&](Result<std::uint64_t> size) { answer = size; });
    world_.RunUntil([&] { return answer.has_value(); }, std::chrono::seconds(10));
    if (!answer) return Unavailable("no answer");
    if (!answer->has_value()) return answer->error();
    return sink->text();
  }

  void Join() {
    Say(Hello{.versions = {1}, .task_name = "liver"});
    link_.SetToken(Last("welcome").value("token", ""));
  }
  void UseToken(std::string token) { link_.SetToken(std::move(token)); }

  // Offers and, if granted, sends.
  Result<Json> Contribute(ModelData update, ContributionHeader header) {
    const auto encoded = EncodeModel(std::move(update));
    auto grant = Put("/v1/updates", ToJson(header).dump() + "\n" + encoded->manifest_text);
    if (!grant.has_value() || (*grant)["state"] == "counted") return grant;
    const auto selection = ParseSelection((*grant)["tensors"].get<std::string>(), encoded->model.size());
    return PutSource("/v1/uploads/" + (*grant)["upload"].get<std::string>(), SendTensors(encoded, *selection));
  }
  ContributionHeader Header() const {
    const Json offer = Last("round");
    return {.run = offer.value("run", 0), .round = offer.value("round", -1), .base_model = offer.value("model", "")};
  }

  const std::optional<Error>& closed() const { return closed_; }

  void OnOpen() override {}
  void OnMessage(Json message) override { heard_.push_back(std::move(message)); }
  void OnClose(const Error& why) override { closed_ = why; }

 private:
  SimulatedLoop& world_;
  MemoryClientLink link_;
  std::vector<Json> heard_;
  std::optional<Error> closed_;
};

// Remembers what it was given last.
class RememberingSaver : public ModelSaver {
 public:
  struct Saved {
    ModelData model;
    bool is_best = false;
    int round = -1;
  };
  explicit RememberingSaver(std::optional<Saved>& last) : last_(last) {}
  Status Initialize(ModelSource*) override { return {}; }
  Result<ModelData> LoadModel() override { return SomeModel(1); }
  Status SaveModel(const ModelData& model, bool is_best, const AppContext& app_ctx) override {
    last_ = Saved{model, is_best, app_ctx.current_round};
    return {};
  }

 private:
  std::optional<Saved>& last_;
};

class FederatedServerTest : public testing::Test {
 protected:
  FederatedServerTest() { StartServer(); }

  // A first one, or another after a kill.
  void StartServer() {
    server_.reset();
    link_.reset();
    link_ = std::make_unique<MemoryServerLink>(network_, world_);
    server_ = std::make_unique<FederatedServer>(
        FederatedServerOptions{.task_name = "liver",
                               .folder = kFolder,
                               .min_num_clients = 2,
                               .max_num_clients = 3,
                               .heart_beat_timeout = Seconds(600),
                               .num_rounds = 2},
        FederatedServerParts{.loop = world_,
                             .link = *link_,
                             .store = store_,
                             .disk = disk_,
                             .aggregator = make_aggregator_(),
                             .saver = std::make_unique<RememberingSaver>(saved_),
                             .first_model = [] { return Result<ModelData>(SomeModel(1)); },
                             .make_token = [this] { return "token " + std::to_string(++tokens_); }});
    EXPECT_TRUE(server_->Start([this](const RunOutcome& outcome) { outcome_ = outcome; }).has_value());
  }

  TestPeer& Connect(const std::string& name, PeerRole role = PeerRole::kSite) {
    peers_.push_back(std::make_unique<TestPeer>(network_, world_, Peer{.name = name, .role = role, .address = name}));
    return *peers_.back();
  }
  TestPeer& Site(const std::string& name) {
    TestPeer& peer = Connect(name);
    peer.Join();
    return peer;
  }

  std::function<std::unique_ptr<Aggregator>()> make_aggregator_ = [] { return *ModelAggregator::Make(Json::object()); };
  SimulatedLoop world_;
  SimulatedDisk disk_;
  MemoryStore store_;
  MemoryNetwork network_{world_, 1};
  std::unique_ptr<MemoryServerLink> link_;
  std::optional<RememberingSaver::Saved> saved_;
  int tokens_ = 0;
  std::optional<RunOutcome> outcome_;
  std::unique_ptr<FederatedServer> server_;
  std::vector<std::unique_ptr<TestPeer>> peers_;
};

TEST_F(FederatedServerTest, ASiteIsWelcomedAndOfferedTheOpenRound) {
  TestPeer& site = Site("a");
  EXPECT_EQ(site.Last("welcome")["token"], "token 1");
  EXPECT_EQ(site.Last("round")["round"], 0);
  EXPECT_EQ(site.Last("round")["counted"], false);
}

TEST_F(FederatedServerTest, AWrongTaskNameIsRefusedWithBothNames) {
  TestPeer& site = Connect("a");
  site.Say(Hello{.versions = {1}, .task_name = "lung"});
  ASSERT_TRUE(site.closed());
  EXPECT_EQ(site.closed()->kind(), ErrorKind::kInvalidArgument);
  EXPECT_THAT(site.closed()->message(), HasSubstr("'liver', not 'lung'"));
}

TEST_F(FederatedServerTest, AnUnknownProtocolVersionIsRefused) {
  TestPeer& site = Connect("a");
  site.Say(Hello{.versions = {7}, .task_name = "liver"});
  EXPECT_THAT(site.closed()->message(), HasSubstr("protocol version 1 only"));
}

TEST_F(FederatedServerTest, ANewerPeerThatStillSpeaksOursIsWelcome) {
  TestPeer& site = Connect("a");
  site.Say(Hello{.versions = {3, 2, 1}, .capabilities = {"telepathy", "zeros"}, .task_name = "liver"});
  EXPECT_EQ(site.Last("welcome")["version"], 1);
  EXPECT_EQ(site.Last("welcome")["capabilities"], Json({"zeros"}));
}

TEST_F(FederatedServerTest, ANameThatIsConnectedIsRefusedAndTheFirstOneStays) {
  TestPeer& first = Site("a");
  TestPeer& second = Site("a");
  EXPECT_EQ(second.closed()->kind(), ErrorKind::kAlreadyExists);
  EXPECT_THAT(second.closed()->message(), HasSubstr("'a' is connected already"));
  EXPECT_FALSE(first.closed());
}

TEST_F(FederatedServerTest, BeyondMaxNumClientsNobodyIsRegistered) {
  for (const char* name : {"a", "b", "c"}) Site(name);
  TestPeer& site = Site("d");
  EXPECT_EQ(site.closed()->kind(), ErrorKind::kResourceExhausted);
  EXPECT_EQ(store_.Sites()->size(), 3u);
}

TEST_F(FederatedServerTest, NonsenseOnTheControlChannelEndsThatSessionOnly) {
  TestPeer& good = Site("a");
  TestPeer& bad = Connect("b");
  bad.SayJson({{"type", "surprise"}});
  EXPECT_EQ(bad.closed()->kind(), ErrorKind::kInvalidArgument);
  TestPeer& silent = Connect("c");
  silent.Say(Heartbeat{});
  EXPECT_THAT(silent.closed()->message(), HasSubstr("hello first"));
  EXPECT_FALSE(good.closed());
}

TEST_F(FederatedServerTest, WhoNeverSaysHelloIsSentAway) {
  TestPeer& site = Connect("a");
  world_.RunFor(std::chrono::seconds(40));
  EXPECT_THAT(site.closed()->message(), HasSubstr("no hello"));
}

TEST_F(FederatedServerTest, TransfersNeedTheTokenOfThatVerySite) {
  Site("a");
  TestPeer& thief = Site("b");
  thief.UseToken("token 1");
  EXPECT_EQ(thief.Get("/v1/models/" + server_->model()->id).error().kind(), ErrorKind::kUnauthenticated);
  EXPECT_EQ(thief.Contribute(SomeModel(1), thief.Header()).error().kind(), ErrorKind::kUnauthenticated);
}

TEST_F(FederatedServerTest, AModelIsServedAsManifestAsTensorsAndWhole) {
  TestPeer& site = Site("a");
  const std::string path = "/v1/models/" + server_->model()->id;
  EXPECT_EQ(*site.Get(path + "/manifest"), server_->model()->manifest_text);
  EXPECT_EQ(site.Get(path + "/data?tensors=0")->size(), 12u);
  EXPECT_TRUE(site.Get(path)->starts_with("FLMODEL1"));
  EXPECT_EQ(site.Get(path + "/data?tensors=5").error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(site.Get("/v1/models/nonsense/manifest").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(site.Get("/etc/passwd").error().kind(), ErrorKind::kNotFound);
}

TEST_F(FederatedServerTest, TwoContributionsMakeARoundAndTwoRoundsTheRun) {
  TestPeer& a = Site("a");
  TestPeer& b = Site("b");
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(a.Header().round, round);
    ASSERT_TRUE(a.Contribute(SomeModel(1), a.Header()).has_value());
    ASSERT_TRUE(b.Contribute(SomeModel(3), b.Header()).has_value());
    world_.RunUntilIdle(std::chrono::seconds(1));
  }
  EXPECT_EQ(a.Last("done")["completed"], true);
  EXPECT_EQ(server_->model()->model, SomeModel(1 + 2 * 2));
  EXPECT_FALSE(outcome_) << "the server left before its sites did";
  a.Say(Quit{});
  b.Say(Quit{});
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->state, RunState::kCompleted);
}

TEST_F(FederatedServerTest, AModelThatWasRecordedButNotSavedBeforeAKillIsSavedAtTheNextStart) {
  StartServer();
  EXPECT_FALSE(saved_) << "nothing was learnt yet";
  TestPeer& a = Site("a");
  TestPeer& b = Site("b");
  ContributionHeader header = a.Header();
  header.metrics = {{"validation/best_validation_metric", 0.5}};
  ASSERT_TRUE(a.Contribute(SomeModel(1), header).has_value());
  ASSERT_TRUE(b.Contribute(SomeModel(3), header).has_value());
  world_.RunUntilIdle(std::chrono::seconds(1));
  ASSERT_TRUE(saved_);
  EXPECT_TRUE(saved_->is_best);
  const auto before = *std::exchange(saved_, std::nullopt);
  StartServer();
  ASSERT_TRUE(saved_);
  EXPECT_EQ(saved_->model, SomeModel(3));
  EXPECT_EQ(saved_->round, before.round);
  EXPECT_EQ(saved_->is_best, before.is_best);
}

TEST_F(FederatedServerTest, TheSameUpdateAgainIsCountedOnceAnotherOneIsRefused) {
  TestPeer& a = Site("a");
  Site("b");
  ASSERT_TRUE(a.Contribute(SomeModel(1), a.Header()).has_value());
  EXPECT_EQ((*a.Contribute(SomeModel(1), a.Header()))["state"], "counted");
  EXPECT_EQ(a.Contribute(SomeModel(2), a.Header()).error().kind(), ErrorKind::kAlreadyExists);
}

TEST_F(FederatedServerTest, StaleAndForeignContributionsAreAnsweredWithTheReason) {
  TestPeer& a = Site("a");
  ContributionHeader header = a.Header();
  header.round = 5;
  EXPECT_THAT(a.Contribute(SomeModel(1), header).error().message(), HasSubstr("Contrib: round 5 is not open"));
  header = a.Header();
  header.run = 9;
  EXPECT_THAT(a.Contribute(SomeModel(1), header).error().message(), HasSubstr("Contrib: run 9"));
  header = a.Header();
  header.base_model = "another";
  EXPECT_THAT(a.Contribute(SomeModel(1), header).error().message(), HasSubstr("Contrib: trained on model 'another'"));
}

TEST_F(FederatedServerTest, MalformedContributionsNameTheTensor) {
  TestPeer& a = Site("a");
  ModelData shape;
  ASSERT_TRUE(shape.Add("weight", Tensor::Zeros(DType::kF32, {4})).has_value());
  EXPECT_THAT(a.Contribute(std::move(shape), a.Header()).error().message(), HasSubstr("'weight'"));
  ModelData name;
  ASSERT_TRUE(name.Add("wait", Tensor::Zeros(DType::kF32, {3})).has_value());
  EXPECT_THAT(a.Contribute(std::move(name), a.Header()).error().message(), HasSubstr("'wait'"));
  const auto nan = SomeModel(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(a.Contribute(nan, a.Header()).error().message(), HasSubstr("'weight'"));
  ContributionHeader weight = a.Header();
  weight.n_iter = -1;
  EXPECT_FALSE(a.Contribute(SomeModel(1), weight).has_value());
  // None of it has left a trace: the good one counts.
  EXPECT_EQ((*a.Contribute(SomeModel(1), a.Header()))["state"], "counted");
}

TEST_F(FederatedServerTest, OffersThatAreNoOffersAreRefusedBeforeAnythingIsAllocated) {
  TestPeer& a = Site("a");
  for (const std::string& body : {std::string(), std::string("\n"), std::string("{}\n{}"), std::string("no newline"),
                                  ToJson(a.Header()).dump() + "\n" + "[1]"}) {
    const auto answer = a.Put("/v1/updates", body);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().kind(), ErrorKind::kInvalidArgument) << answer.error().message();
  }
  ModelData huge;
  ASSERT_TRUE(huge.Add("weight", Tensor::Zeros(DType::kF32, {1 << 20})).has_value());
  EXPECT_THAT(a.Contribute(std::move(huge), a.Header()).error().message(), HasSubstr("for a model of"));
  EXPECT_EQ(a.Put("/v1/uploads/nonsense", "").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(server_->buffers_held(), 0);
}

TEST_F(FederatedServerTest, AnOfferGetsMemoryForAManifestLikeTheModelsAndNoMore) {
  TestPeer& a = Site("a");
  for (const std::string& body : {std::string(8 << 20, ' '), std::string((1 << 20) + 1, ' ') + "\n{}"}) {
    const auto answer = a.Put("/v1/updates", body);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().kind(), ErrorKind::kInvalidArgument) << answer.error().message();
    EXPECT_THAT(answer.error().message(), HasSubstr("at most"));
  }
  std::shared_ptr<ByteSink> sink;
  server_->OnPut({.peer = {.name = "a"}, .token = "token 1", .path = "/v1/updates"},
                 [&](Result<std::shared_ptr<ByteSink>> answer) { sink = *answer; });
  EXPECT_FALSE(sink->Expect(8 << 20).has_value());
}

TEST_F(FederatedServerTest, AnUpdateThatArrivesOnTwoConnectionsCountsOnceAndIsNoFailure) {
  TestPeer& a = Site("a");
  Site("b");
  const auto update = EncodeModel(SomeModel(3));
  const std::string offer = ToJson(a.Header()).dump() + "\n" + update->manifest_text;
  const auto begin = [&](const BulkRequest& request) {
    std::shared_ptr<ByteSink> sink;
    server_->OnPut(request, [&](Result<std::shared_ptr<ByteSink>> answer) { sink = *answer; });
    return sink;
  };
  const auto fill = [](ByteSink& sink, std::span<const std::byte> bytes) {
    EXPECT_TRUE(sink.Expect(bytes.size()).has_value());
    std::ranges::copy(bytes, sink.Space().begin());
    sink.Advance(bytes.size());
  };
  BulkRequest request{.peer = {.name = "a"}, .token = "token 1", .path = "/v1/updates"};
  const auto offer_it = [&](Result<Json>& grant) {
    const auto sink = begin(request);
    fill(*sink, AsBytes(offer));
    server_->OnPutEnd(request, sink, true, [&grant](Result<Json> answer) { grant = std::move(answer); });
  };
  Result<Json> first = Json();
  Result<Json> second = Json();
  offer_it(first);
  const BulkRequest upload{
      .peer = {.name = "a"}, .token = "token 1", .path = "/v1/uploads/" + (*first)["upload"].get<std::string>()};
  const auto one = begin(upload);
  offer_it(second);
  EXPECT_TRUE(second->is_null()) << "granted although the first connection still fills it";
  Result<Json> counted = Json();
  const auto send = [&](const std::shared_ptr<ByteSink>& sink) {
    fill(*sink, update->model[0].tensor.bytes());
    server_->OnPutEnd(upload, sink, true, [&](Result<Json> answer) { counted = std::move(answer); });
    ASSERT_TRUE(counted.has_value()) << counted.error().message();
    EXPECT_EQ((*counted)["state"], "counted");
  };
  send(one);
  ASSERT_EQ((*second)["state"], "send");
  send(begin(upload));
  EXPECT_EQ(server_->StatusJson()["sites"]["a"]["failure"], "");
}

TEST_F(FederatedServerTest, ASiteThatDidNotHearOfTheEndHearsOfItAfterARestart) {
  TestPeer& a = Site("a");
  Site("b");
  server_->AbortRun("enough");
  a.Say(Quit{});
  EXPECT_FALSE(outcome_) << "b has not left";
  StartServer();
  world_.RunFor(std::chrono::seconds(50));
  EXPECT_FALSE(outcome_);
  TestPeer& back = Site("b");
  EXPECT_EQ(back.Last("done")["why"], "enough");
  world_.RunFor(std::chrono::minutes(1));
  EXPECT_FALSE(outcome_) << "b has not left";
  back.Say(Quit{});
  ASSERT_TRUE(outcome_) << "a has left before, and does not come again";
  EXPECT_EQ(outcome_->state, RunState::kAborted);
}

// Its state is the model that the round started from.
class LookingBack : public Aggregator {
 public:
  Status Begin(int round, ModelData global) override {
    next_ = SomeModel(static_cast<float>(round + 2));
    before_ = std::move(global);
    return {};
  }
  Status Accept(const Contribution&) override { return {}; }
  int count() const override { return 1; }
  Result<AggregateResult> Finish() override { return AggregateResult{.model = next_}; }
  ModelData SaveState() const override { return before_; }
  Status LoadState(const ModelData&) override { return {}; }

 private:
  ModelData next_;
  ModelData before_;
};

TEST_F(FederatedServerTest, AStateThatIsTheModelOfBeforeIsKept) {
  make_aggregator_ = [] { return std::make_unique<LookingBack>(); };
  StartServer();
  TestPeer& a = Site("a");
  TestPeer& b = Site("b");
  ASSERT_TRUE(a.Contribute(SomeModel(1), a.Header()).has_value());
  ASSERT_TRUE(b.Contribute(SomeModel(1), b.Header()).has_value());
  world_.RunUntilIdle(std::chrono::seconds(1));
  ASSERT_EQ((*store_.LastRound(1))->round, 0);
  StartServer();
  EXPECT_EQ(server_->model()->model, SomeModel(2));
}

TEST_F(FederatedServerTest, ASilentSiteStopsCountingAtItsTimeoutAndStatusSaysWho) {
  TestPeer& a = Site("a");
  Site("b");
  ASSERT_TRUE(a.Contribute(SomeModel(1), a.Header()).has_value());
  EXPECT_THAT(server_->StatusJson()["waiting"]["sites"], testing::ElementsAre("b"));
  EXPECT_EQ(server_->StatusJson()["waiting"]["setting"], "min_num_clients = 2");
  for (int minute = 0; minute < 15; ++minute) {
    a.Say(Heartbeat{});
    world_.RunFor(std::chrono::minutes(1));
  }
  EXPECT_EQ(server_->StatusJson()["sites"]["b"]["alive"], false);
  EXPECT_EQ(server_->StatusJson()["sites"]["a"]["alive"], true);
}

TEST_F(FederatedServerTest, AnAdminWatchesAndAborts) {
  TestPeer& admin = Connect("lead@example.org", PeerRole::kAdmin);
  admin.Say(Watch{});
  EXPECT_EQ(admin.Last("status")["status"]["round"], 0);
  TestPeer& a = Site("a");
  world_.RunFor(std::chrono::seconds(1));
  EXPECT_TRUE(admin.Last("status")["status"]["sites"].contains("a"));
  admin.Say(Abort{"wrong data"});
  EXPECT_EQ(a.Last("done")["completed"], false);
  EXPECT_THAT(a.Last("done")["why"].get<std::string>(), HasSubstr("aborted by lead@example.org: wrong data"));
}

TEST_F(FederatedServerTest, ASiteIsNoAdminAndAnAdminNoSite) {
  TestPeer& a = Site("a");
  a.Say(Abort{"mischief"});
  EXPECT_TRUE(a.closed());
  EXPECT_FALSE(outcome_);
  TestPeer& admin = Connect("lead@example.org", PeerRole::kAdmin);
  EXPECT_EQ(admin.Contribute(SomeModel(1), {.run = 1, .base_model = server_->model()->id}).error().kind(),
            ErrorKind::kPermissionDenied);
}

TEST_F(FederatedServerTest, AFullDiskCostsTimeAndNothingElse) {
  TestPeer& a = Site("a");
  TestPeer& b = Site("b");
  disk_.FailAfterBytes(10);
  ASSERT_TRUE(a.Contribute(SomeModel(1), a.Header()).has_value());
  ASSERT_TRUE(b.Contribute(SomeModel(3), b.Header()).has_value());
  world_.RunFor(std::chrono::seconds(30));
  EXPECT_THAT(server_->StatusJson()["trouble"].get<std::string>(), HasSubstr("full"));
  EXPECT_EQ(a.Header().round, 0);
  disk_.FailAfterBytes(std::nullopt);
  world_.RunFor(std::chrono::seconds(30));
  EXPECT_EQ(server_->StatusJson()["trouble"], "");
  EXPECT_EQ(a.Header().round, 1);
  EXPECT_EQ(server_->model()->model, SomeModel(3));
}

TEST_F(FederatedServerTest, GoingAwayTellsTheSitesFirst) {
  TestPeer& a = Site("a");
  bool gone = false;
  server_->GoAway([&] { gone = true; });
  world_.RunUntilIdle(std::chrono::seconds(1));
  EXPECT_TRUE(gone);
  EXPECT_EQ(a.closed()->kind(), ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace fed_learn
