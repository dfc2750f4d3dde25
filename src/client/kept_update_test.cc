// What a client does with the update that a killed one left behind.

#include <gtest/gtest.h>

#include <array>

#include "base/simulated_disk.h"
#include "base/simulated_loop.h"
#include "client/federated_client.h"

namespace fed_learn {
namespace {

// Welcomes the client, offers it round 3 of the model "m", and remembers which transfers it begins.
class RoundLink : public ClientLink {
 public:
  explicit RoundLink(Loop& loop) : loop_(loop) {}

  void Start(ClientLinkHandler& handler) override { handler_ = &handler; }
  void Open() override {
    loop_.Post([this] {
      handler_->OnOpen();
      handler_->OnMessage(ToJson(Welcome{.token = "token"}));
      handler_->OnMessage(ToJson(RoundOffer{.round = 3, .num_rounds = 9, .model = "m"}));
    });
  }
  void Send(Json) override {}
  void Close() override {}
  void SetToken(std::string) override {}
  void Get(std::string path, std::shared_ptr<ByteSink>, Answer<std::uint64_t>) override { begun = "GET " + path; }
  void Put(std::string path, std::shared_ptr<const ByteSource>, std::uint64_t, Answer<Json>) override {
    begun = "PUT " + path;
  }

  std::string begun;

 private:
  Loop& loop_;
  ClientLinkHandler* handler_ = nullptr;
};

class NoFitter : public Fitter {
 public:
  Status Initialize(const AppContext&) override { return {}; }
  Result<FitResult> Fit(const ModelData&, const AppContext&, const std::function<void(const FitProgress&)>&) override {
    return FitResult{};
  }
  Result<MetricManager> Validate(const ModelData&, const AppContext&) override { return MetricManager{}; }
};

class NoWorker : public Worker {
 public:
  void Run(Task, Task) override {}
};

class KeptUpdateTest : public testing::Test {
 protected:
  KeptUpdateTest() {
    EXPECT_TRUE(disk_.MakeFolders("a").has_value());
    ModelData update;
    EXPECT_TRUE(update.Add("body", Tensor::Of<float>({2}, std::array{1.F, 2.F})).has_value());
    EXPECT_TRUE(update.Add("head", Tensor::Of<float>({1}, std::array{3.F})).has_value());
    const auto encoded = EncodeModel(std::move(update));
    EXPECT_TRUE(WritePackage(disk_, "a/update.flmodel", *encoded).has_value());
    Keep({{"model", encoded->id}, {"header", ToJson(ContributionHeader{.round = 3, .base_model = "m"})}});
  }

  void Keep(const Json& header) { EXPECT_TRUE(WriteFileAtomically(disk_, "a/update.json", header.dump()).has_value()); }

  // The first transfer of a client that starts here.
  std::string FirstTransfer(std::vector<std::string> exclude_vars = {}) {
    RoundLink link(loop_);
    NoFitter fitter;
    NoWorker worker;
    const auto client = *FederatedClient::Create(
        {.site = "a", .task_name = "liver", .folder = "a", .exclude_vars = std::move(exclude_vars)},
        {.loop = loop_, .link = link, .disk = disk_, .worker = worker, .fitter = fitter});
    EXPECT_TRUE(client->Start([](const ClientOutcome&) {}).has_value());
    loop_.RunFor(std::chrono::seconds(1));
    return link.begun;
  }

  SimulatedLoop loop_;
  SimulatedDisk disk_;
};

TEST_F(KeptUpdateTest, ItIsOfferedAgain) { EXPECT_EQ(FirstTransfer(), "PUT /v1/updates"); }

TEST_F(KeptUpdateTest, ItIsNotSentIfTheSiteExcludesAVariableOfItNow) {
  EXPECT_EQ(FirstTransfer({"other"}), "PUT /v1/updates");
  EXPECT_EQ(FirstTransfer({"other", "^head"}), "GET /v1/models/m/manifest");
}

TEST_F(KeptUpdateTest, AHeaderOfAnotherShapeIsWorkToDoAgain) {
  for (const Json& header :
       {Json::array(), Json::object(), Json{{"header", 1}, {"model", 7}},
        Json{{"header", ToJson(ContributionHeader{.round = 3, .base_model = "m"})}, {"model", 7}}}) {
    Keep(header);
    EXPECT_EQ(FirstTransfer(), "GET /v1/models/m/manifest") << header;
  }
}

}  // namespace
}  // namespace fed_learn
