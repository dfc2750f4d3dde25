// How long a site has patience with a server. Whole federations: simulate/federation_test.cc.

#include "client/federated_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/simulated_disk.h"
#include "base/simulated_loop.h"

namespace fed_learn {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

// A link whose every attempt at a session fails while `refusal` is set.
class TestLink : public ClientLink {
 public:
  explicit TestLink(Loop& loop) : loop_(loop) {}

  void Start(ClientLinkHandler& handler) override { handler_ = &handler; }
  void Open() override {
    loop_.Post([this] {
      if (refusal) return handler_->OnClose(*refusal);
      handler_->OnOpen();
      handler_->OnMessage(ToJson(Welcome{.token = "token"}));
    });
  }
  void Send(Json) override {}
  void Close() override {}
  void SetToken(std::string) override {}
  void Get(std::string, std::shared_ptr<ByteSink>, Answer<std::uint64_t>) override {}
  void Put(std::string, std::shared_ptr<const ByteSource>, std::uint64_t, Answer<Json>) override {}

  void Break(Error why) {
    refusal = std::move(why);
    handler_->OnClose(*refusal);
  }

  std::optional<Error> refusal;

 private:
  Loop& loop_;
  ClientLinkHandler* handler_ = nullptr;
};

class IdleFitter : public Fitter {
 public:
  Status Initialize(const AppContext&) override { return {}; }
  Result<FitResult> Fit(const ModelData&, const AppContext&, const std::function<void(const FitProgress&)>&) override {
    return FitResult{};
  }
  Result<MetricManager> Validate(const ModelData&, const AppContext&) override { return MetricManager{}; }
};

class IdleWorker : public Worker {
 public:
  void Run(Task, Task) override {}
};

class FederatedClientTest : public testing::Test {
 protected:
  void Start(std::optional<Error> refusal) {
    link_.refusal = std::move(refusal);
    client_ =
        *FederatedClient::Create({.site = "a", .task_name = "liver", .folder = "a", .retry_timeout = seconds(30)},
                                 {.loop = loop_, .link = link_, .disk = disk_, .worker = worker_, .fitter = fitter_});
    ASSERT_TRUE(client_->Start([this](const ClientOutcome& outcome) { outcome_ = outcome; }).has_value());
  }

  SimulatedLoop loop_;
  SimulatedDisk disk_;
  TestLink link_{loop_};
  IdleFitter fitter_;
  IdleWorker worker_;
  std::unique_ptr<FederatedClient> client_;
  std::optional<ClientOutcome> outcome_;
};

TEST_F(FederatedClientTest, ASiteThatStartsBeforeTheServerWaitsTwoHours) {
  Start(Unavailable("nobody there"));
  loop_.RunFor(hours(2));
  EXPECT_FALSE(outcome_);
  loop_.RunFor(minutes(2));
  ASSERT_TRUE(outcome_);
  EXPECT_FALSE(outcome_->completed);
  EXPECT_THAT(outcome_->why, HasSubstr("nobody there"));
}

TEST_F(FederatedClientTest, PatienceBeginsWhenASessionEndsHoweverQuietItWas) {
  Start({});
  loop_.RunFor(hours(3));
  link_.Break(Unavailable("cut"));
  loop_.RunFor(seconds(29));
  EXPECT_FALSE(outcome_);
  link_.refusal.reset();
  loop_.RunFor(hours(3));
  EXPECT_FALSE(outcome_);
  link_.Break(Unavailable("cut"));
  loop_.RunFor(minutes(2));
  ASSERT_TRUE(outcome_);
  EXPECT_THAT(outcome_->why, HasSubstr("retry_timeout = 30 s"));
}

TEST_F(FederatedClientTest, AServerThatStillHoldsAnOlderSessionIsNotAway) {
  Start({});
  loop_.RunFor(minutes(1));
  link_.Break(Unavailable("cut"));
  link_.refusal = AlreadyExists("'a' is connected already");
  loop_.RunFor(minutes(10));
  EXPECT_FALSE(outcome_);
  link_.refusal = Unavailable("nobody there");
  loop_.RunFor(minutes(2));
  EXPECT_TRUE(outcome_);
}

TEST_F(FederatedClientTest, ARefusalThatNothingWillChangeEndsItAtOnce) {
  Start(PermissionDenied("revoked"));
  loop_.RunFor(seconds(1));
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->why, "revoked");
}

}  // namespace
}  // namespace fed_learn
