#include "transport/memory/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/simulated_loop.h"
#include "transport/link_contract.h"
#include "transport/memory/client.h"
#include "transport/memory/server.h"

namespace fed_learn {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::uint64_t kSinkMax = 16 << 20;

// One server and one site in one world.
class MemoryNetworkTest : public ::testing::Test {
 protected:
  MemoryNetworkTest() { Begin(0, {}); }

  void Begin(std::uint64_t seed, MemoryNetworkOptions options) {
    client_.reset();
    server_.reset();
    client_node_.reset();
    server_node_.reset();
    network_.reset();
    at_server_ = {};
    at_client_ = {};
    world_ = std::make_unique<SimulatedLoop>(SimulatedLoopOptions{.seed = seed});
    network_ = std::make_unique<MemoryNetwork>(*world_, seed, options);
    at_server_.on_get = [](const BulkRequest&, const ScriptedServer::GetAnswer& answer) {
      answer(std::make_shared<TextSource>(std::string(100'000, 'x')));
    };
    at_server_.on_put = [](const BulkRequest&, const ScriptedServer::PutAnswer& answer) {
      answer(std::make_shared<TextSink>(kSinkMax));
    };
    at_server_.on_put_end = [](const ScriptedServer::PutEnd&, const Answer<Json>& answer) { answer(Json::object()); };
    StartServer();
    StartClient();
  }

  void StartServer() {
    server_node_ = world_->MakeNode();
    server_ = std::make_unique<MemoryServerLink>(*network_, *server_node_);
    EXPECT_TRUE(server_->Start(at_server_).has_value());
  }

  void StartClient() {
    client_node_ = world_->MakeNode();
    client_ = std::make_unique<MemoryClientLink>(*network_, *client_node_,
                                                 Peer{.name = "site_1", .role = PeerRole::kSite, .address = "memory"});
    client_->Start(at_client_);
  }

  void KillServer() {
    server_node_->Kill();
    server_.reset();
  }

  void KillClient() {
    client_node_->Kill();
    client_.reset();
  }

  void Open() {
    client_->Open();
    ASSERT_TRUE(RunUntil([this] { return at_client_.opened == 1 && !at_server_.opened.empty(); }));
  }

  bool RunUntil(const std::function<bool()>& done) { return world_->RunUntil(done, hours(24)); }

  std::optional<Result<Json>> Put(std::size_t size) {
    std::optional<Result<Json>> answer;
    client_->Put("/put", std::make_shared<TextSource>(std::string(size, 'p')), 0,
                 [&answer](Result<Json> reply) { answer = std::move(reply); });
    world_->RunUntil([&] { return answer.has_value(); }, hours(24));
    return answer;
  }

  std::unique_ptr<SimulatedLoop> world_;
  std::unique_ptr<MemoryNetwork> network_;
  ScriptedServer at_server_;
  ScriptedClient at_client_;
  std::unique_ptr<SimulatedLoop::Node> server_node_;
  std::unique_ptr<SimulatedLoop::Node> client_node_;
  std::unique_ptr<MemoryServerLink> server_;
  std::unique_ptr<MemoryClientLink> client_;
};

TEST_F(MemoryNetworkTest, ThereIsOneServerAtATime) {
  MemoryServerLink second(*network_, *server_node_);
  ScriptedServer handler;
  EXPECT_EQ(second.Start(handler).error().kind(), ErrorKind::kAlreadyExists);
}

TEST_F(MemoryNetworkTest, PayloadIsCountedEachWay) {
  Open();
  client_->Send({{"type", "a"}});
  server_->Send(at_server_.opened[0].first, {{"type", "b"}});
  bool got = false;
  client_->Get("/x", std::make_shared<TextSink>(kSinkMax), [&](const Result<std::uint64_t>&) { got = true; });
  ASSERT_TRUE(Put(1234).has_value());
  ASSERT_TRUE(RunUntil([&] { return got; }));
  const MemoryTraffic traffic = network_->TrafficOf("site_1");
  EXPECT_EQ(traffic.put_bytes, 1234u);
  EXPECT_EQ(traffic.get_bytes, 100'000u);
  EXPECT_EQ(traffic.messages_to_server, 1u);
  EXPECT_EQ(traffic.messages_to_client, 1u);
  EXPECT_EQ(traffic.breaks, 0u);
  EXPECT_EQ(network_->TrafficOf("site_2").put_bytes, 0u);
}

TEST_F(MemoryNetworkTest, DelayAndBandwidthTakeTheirTime) {
  Begin(
      1,
      {.delay_min = milliseconds(20), .delay_max = milliseconds(20), .bytes_per_second = 1000, .chunk_bytes_max = 100});
  const MonotonicTime before = world_->Now();
  ASSERT_TRUE(Put(10'000)->has_value());
  const Duration took = world_->Now() - before;
  // A request, its leave to go on, the first bytes and the answer; all chunks but the last are waited for.
  EXPECT_EQ(took, 4 * milliseconds(20) + milliseconds(9900));
}

TEST_F(MemoryNetworkTest, APeerMayHaveAWorseConnectionThanOthers) {
  network_->SetOptions("site_1", {.delay_min = seconds(1), .delay_max = seconds(1)});
  network_->SetOptions({.delay_min = hours(1), .delay_max = hours(1)});
  const MonotonicTime before = world_->Now();
  Open();
  EXPECT_EQ(world_->Now() - before, seconds(2));
}

TEST_F(MemoryNetworkTest, ACutPeerReachesNobodyUntilHealed) {
  Open();
  network_->Cut("site_1");
  ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty() && !at_server_.closed.empty(); }));
  client_->Open();
  ASSERT_TRUE(RunUntil([&] { return at_client_.closed.size() == 2; }));
  EXPECT_EQ(at_client_.closed[1].kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(Put(10)->error().kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(at_server_.requests, SizeIs(0));
  network_->Heal("site_1");
  EXPECT_TRUE(Put(10)->has_value());
}

TEST_F(MemoryNetworkTest, OneSideOfABreakLearnsLater) {
  std::set<bool> who_first;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Begin(seed, {.half_open_max = hours(1)});
    Open();
    network_->Break("site_1");
    const MonotonicTime before = world_->Now();
    ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty() || !at_server_.closed.empty(); }));
    EXPECT_EQ(world_->Now(), before);
    const bool client_first = !at_client_.closed.empty();
    who_first.insert(client_first);
    if (client_first) {
      // The server does not know yet: what it sends is lost, and the site opens a second session beside the first.
      server_->Send(at_server_.opened[0].first, {{"type", "lost"}});
      client_->Open();
      ASSERT_TRUE(RunUntil([&] { return at_client_.opened == 2; }));
      EXPECT_THAT(at_client_.messages, SizeIs(0));
      EXPECT_THAT(at_server_.opened, SizeIs(2));
    }
    ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty() && !at_server_.closed.empty(); }));
    EXPECT_EQ(at_server_.closed[0].first, at_server_.opened[0].first);
    EXPECT_THAT(at_server_.closed, SizeIs(1));
    EXPECT_THAT(at_client_.closed, SizeIs(1));
  }
  EXPECT_THAT(who_first, SizeIs(2));
}

TEST_F(MemoryNetworkTest, ATransferBreaksInTheMiddleAndGoesOnThere) {
  std::set<std::uint64_t> offsets;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Begin(seed, {.chunk_bytes_max = 1000, .chunk_cut_chance = 0.02});
    const auto sink = std::make_shared<TextSink>(kSinkMax);
    std::optional<Result<std::uint64_t>> total;
    for (int attempt = 0; attempt < 1000 && !(total && total->has_value()); ++attempt) {
      offsets.insert(sink->offset());
      total.reset();
      client_->Get("/x", sink, [&](Result<std::uint64_t> answer) { total = std::move(answer); });
      ASSERT_TRUE(RunUntil([&] { return total.has_value(); }));
    }
    ASSERT_TRUE(total->has_value());
    EXPECT_EQ(sink->text(), std::string(100'000, 'x'));
    // Nothing was sent twice.
    EXPECT_EQ(network_->TrafficOf("site_1").get_bytes, 100'000u);
  }
  EXPECT_GT(offsets.size(), 5u);
}

TEST_F(MemoryNetworkTest, APutMayBeCountedAlthoughItsAnswerIsLost) {
  int counted_but_unheard = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Begin(seed, {.message_cut_chance = 0.3});
    const bool heard = Put(10)->has_value();
    const bool counted = !at_server_.put_ends.empty() && at_server_.put_ends[0].complete;
    EXPECT_TRUE(counted || !heard);
    if (counted && !heard) ++counted_but_unheard;
  }
  EXPECT_GT(counted_but_unheard, 3);
}

TEST_F(MemoryNetworkTest, ADuplicatedPutIsSeenTwiceAndAnsweredOnce) {
  Begin(1, {.duplicate_put_chance = 1, .reorder_max = seconds(10)});
  int answers = 0;
  client_->Put("/put", std::make_shared<TextSource>("abc"), 0, [&](const Result<Json>&) { ++answers; });
  EXPECT_TRUE(world_->RunUntilIdle(hours(1)));
  EXPECT_EQ(answers, 1);
  ASSERT_THAT(at_server_.put_ends, SizeIs(2));
  for (const ScriptedServer::PutEnd& end : at_server_.put_ends) {
    EXPECT_TRUE(end.complete);
    EXPECT_EQ(static_cast<TextSink&>(*end.sink).text(), "abc");
  }
  EXPECT_EQ(network_->TrafficOf("site_1").duplicates, 1u);
}

TEST_F(MemoryNetworkTest, ARequestMayBeOvertakenByAMessage) {
  std::set<bool> overtaken;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Begin(seed, {.delay_max = milliseconds(10), .reorder_max = milliseconds(20)});
    Open();
    client_->Get("/x", std::make_shared<TextSink>(kSinkMax), [](const Result<std::uint64_t>&) {});
    client_->Send({{"type", "after"}});
    ASSERT_TRUE(RunUntil([&] { return !at_server_.messages.empty() || !at_server_.requests.empty(); }));
    overtaken.insert(at_server_.requests.empty());
  }
  EXPECT_THAT(overtaken, ElementsAre(false, true));
}

TEST_F(MemoryNetworkTest, MessagesKeepTheirOrderWhateverTheirDelay) {
  Begin(3, {.delay_max = seconds(1)});
  Open();
  for (int i = 0; i < 100; ++i) client_->Send(i);
  ASSERT_TRUE(RunUntil([&] { return at_server_.messages.size() == 100; }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(at_server_.messages[static_cast<std::size_t>(i)].second, i);
}

TEST_F(MemoryNetworkTest, APeerThatDoesNotReadIsClosed) {
  Open();
  const SessionId session = at_server_.opened[0].first;
  for (int i = 0; i < 100; ++i) server_->Send(session, std::string(100'000, 'x'));
  EXPECT_THAT(at_server_.closed, SizeIs(0));
  ASSERT_TRUE(RunUntil([&] { return !at_server_.closed.empty() && !at_client_.closed.empty(); }));
  EXPECT_EQ(at_server_.closed[0].second.kind(), ErrorKind::kResourceExhausted);
  EXPECT_EQ(at_client_.closed[0].kind(), ErrorKind::kUnavailable);
  EXPECT_TRUE(world_->RunUntilIdle(hours(1)));
  EXPECT_THAT(at_server_.closed, SizeIs(1));
}

TEST_F(MemoryNetworkTest, AKilledServerIsFoundGoneAndItsSuccessorIsReached) {
  Open();
  client_->Send({{"type", "lost with the server"}});
  KillServer();
  ASSERT_TRUE(RunUntil([&] { return !at_client_.closed.empty(); }));
  EXPECT_EQ(at_client_.closed[0].kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(Put(10)->error().kind(), ErrorKind::kUnavailable);
  StartServer();
  EXPECT_TRUE(Put(10)->has_value());
  EXPECT_THAT(at_server_.messages, SizeIs(0));
}

TEST_F(MemoryNetworkTest, AClientKilledInTheMiddleOfAPutGivesTheSinkBack) {
  Begin(1, {.bytes_per_second = 1000, .chunk_bytes_max = 100});
  Open();
  client_->Put("/put", std::make_shared<TextSource>(std::string(10'000, 'p')), 0, [](const Result<Json>&) {});
  world_->RunFor(seconds(5));
  KillClient();
  ASSERT_TRUE(RunUntil([&] { return !at_server_.put_ends.empty() && !at_server_.closed.empty(); }));
  EXPECT_FALSE(at_server_.put_ends[0].complete);
  EXPECT_GT(at_server_.put_ends[0].sink->offset(), 0u);
  EXPECT_LT(at_server_.put_ends[0].sink->offset(), 10'000u);
  StartClient();
  EXPECT_TRUE(Put(10)->has_value());
}

// What a site and a server live through in a bad network: told as text, so that two runs can be compared.
std::string Story(std::uint64_t seed) {
  SimulatedLoop world({.seed = seed, .shuffle_nodes = true});
  MemoryNetwork network(world, seed,
                        {.delay_max = milliseconds(50),
                         .bytes_per_second = 1e5,
                         .chunk_bytes_max = 1000,
                         .message_cut_chance = 0.05,
                         .chunk_cut_chance = 0.01,
                         .half_open_max = seconds(1),
                         .duplicate_put_chance = 0.3,
                         .reorder_max = milliseconds(100)});
  std::string story;
  const auto server_node = world.MakeNode();
  const auto client_node = world.MakeNode();
  ScriptedServer at_server;
  at_server.on_put = [&](const BulkRequest& request, const ScriptedServer::PutAnswer& answer) {
    story += "put " + request.path + "\n";
    answer(std::make_shared<TextSink>(kSinkMax));
  };
  at_server.on_put_end = [&](const ScriptedServer::PutEnd& end, const Answer<Json>& answer) {
    story += "end " + end.request.path + "\n";
    answer(Json::object());
  };
  MemoryServerLink server(network, *server_node);
  EXPECT_TRUE(server.Start(at_server).has_value());
  MemoryClientLink client(network, *client_node, Peer{.name = "site_1"});
  ScriptedClient at_client;
  client.Start(at_client);
  client.Open();
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    client.Put("/" + std::to_string(i), std::make_shared<TextSource>(std::string(20'000, 'x')), 0,
               [&, i](const Result<Json>& reply) {
                 story +=
                     "answer " + std::to_string(i) + (reply.has_value() ? " counted" : " " + reply.error().message());
                 story += " at " + std::to_string(world.Now().time_since_epoch().count()) + "\n";
                 ++answered;
               });
  }
  // Every transfer is answered and every sink given back, whatever happens.
  EXPECT_TRUE(world.RunUntilIdle(hours(1)));
  EXPECT_EQ(answered, 20);
  std::size_t sinks_given = 0;
  for (std::size_t at = 0; (at = story.find("put /", at)) != std::string::npos; ++at) ++sinks_given;
  EXPECT_EQ(at_server.put_ends.size(), sinks_given);
  EXPECT_EQ(at_client.closed.size(), at_client.opened == 1 && at_client.closed.empty() ? 0u : 1u);
  return story;
}

TEST(MemoryNetworkStoryTest, OneSeedTellsOneStory) {
  std::set<std::string> stories;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string story = Story(seed);
    EXPECT_EQ(story, Story(seed)) << "seed " << seed;
    stories.insert(story);
  }
  EXPECT_THAT(stories, SizeIs(50));
}

}  // namespace
}  // namespace fed_learn
