#include "simulate/federation.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "aggregation/model_aggregator.h"
#include "server/sqlite_store.h"

namespace fed_learn {
namespace {

constexpr char kServerFolder[] = "server";
constexpr char kSiteFolder[] = "site";
// Two slots, and as many uploads again that were dropped while a connection still filled them.
constexpr int kBuffersMax = 4;

Result<std::unique_ptr<Aggregator>> MakeAggregator() { return ModelAggregator::Make(Json::object()); }

}  // namespace

// Looks on, on behalf of the checks.
class Federation::Checker : public ServerObserver {
 public:
  explicit Checker(Federation& federation) : federation_(federation) {}
  void OnRoundRecorded(const RoundRecord& round, const ModelData& model) override {
    federation_.CheckRound(round, model);
  }

 private:
  Federation& federation_;
};

struct Federation::ServerNode {
  std::unique_ptr<SimulatedLoop::Node> loop;
  std::unique_ptr<Store> store;
  std::unique_ptr<MemoryServerLink> link;
  std::unique_ptr<FederatedServer> server;
};

struct Federation::SiteNode {
  std::unique_ptr<SimulatedLoop::Node> loop;
  std::unique_ptr<SimulatedWorker> worker;
  std::unique_ptr<MemoryClientLink> link;
  ScriptedFitter fitter;
  std::unique_ptr<FederatedClient> client;
};

Federation::Federation(FederationOptions options)
    : options_(std::move(options)),
      random_(DeriveSeed(options_.seed, "trouble")),
      world_({.seed = DeriveSeed(options_.seed, "world"), .shuffle_nodes = true}),
      network_(world_, DeriveSeed(options_.seed, "network"), options_.network),
      checker_(std::make_unique<Checker>(*this)),
      sites_(static_cast<std::size_t>(options_.sites)),
      site_ended_(static_cast<std::size_t>(options_.sites), false) {
  for (int site = 0; site < options_.sites; ++site) site_disks_.push_back(std::make_unique<SimulatedDisk>());
}

Federation::~Federation() {
  for (int site = 0; site < options_.sites; ++site) KillSite(site);
  KillServer();
}

Status Federation::Start() {
  RETURN_IF_ERROR(RestartServer());
  for (int site = 0; site < options_.sites; ++site) RETURN_IF_ERROR(RestartSite(site));
  return {};
}

ModelData Federation::FirstModel() const {
  Random random(DeriveSeed(options_.seed, "first model"));
  ModelData model;
  for (std::size_t i = 0; i < options_.tensors.size(); ++i) {
    Tensor tensor = Tensor::Allocate(DType::kF32, options_.tensors[i]);
    for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(random.Normal());
    static_cast<void>(model.Add("layer_" + std::to_string(i), std::move(tensor), Role::kParameter));
  }
  return model;
}

// ---- processes that come and go -------------------------------------------------------------------------------------

Status Federation::RestartServer() {
  ++incarnation_;
  auto node = std::make_unique<ServerNode>();
  node->loop = world_.MakeNode();
  RETURN_IF_ERROR(server_disk_.MakeFolders(kServerFolder));
  ASSIGN_OR_RETURN(node->store, OpenSqliteStore(server_disk_, kServerFolder));
  node->link = std::make_unique<MemoryServerLink>(network_, *node->loop);
  ASSIGN_OR_RETURN(auto aggregator, MakeAggregator());
  auto tokens = std::make_shared<Random>(DeriveSeed(options_.seed, "tokens", static_cast<std::uint64_t>(incarnation_)));
  node->server = std::make_unique<FederatedServer>(
      FederatedServerOptions{.task_name = "simulated",
                             .config_sha256 = "0",
                             .folder = std::string(kServerFolder) + "/models",
                             .seed = options_.seed,
                             .min_num_clients = options_.min_num_clients,
                             .num_rounds = options_.rounds,
                             .uploads = {.bugs = options_.bugs},
                             .staging_bytes = 0},
      FederatedServerParts{.loop = *node->loop,
                           .link = *node->link,
                           .store = *node->store,
                           .disk = server_disk_,
                           .aggregator = std::move(aggregator),
                           .first_model = [this] { return FirstModel(); },
                           .make_token = [tokens] { return fmt::format("{:016x}", tokens->Next()); },
                           .observers = {checker_.get()}});
  RETURN_IF_ERROR(node->server->Start([this](const RunOutcome& outcome) {
    outcome_ = outcome;
    last_model_id_ = outcome.model_id;
  }));
  server_ = std::move(node);
  return CheckLastRound();
}

// A round can be durable although the disk failed before it could say so; then it is seen only now.
Status Federation::CheckLastRound() {
  ASSIGN_OR_RETURN(const auto last, server_->store->LastRound(1));
  if (last && !models_.contains(last->round)) CheckRound(*last, server_->server->model()->model);
  return {};
}

void Federation::KillServer(bool power_loss) {
  if (server_) {
    server_->loop->Kill();
    server_->server.reset();
    server_->link.reset();
    server_->store.reset();
    server_.reset();
  }
  if (power_loss || server_power_fails_) {
    server_disk_.Crash(random_);
    server_power_fails_ = false;
  } else {
    server_disk_.KillProcess();
  }
}

Status Federation::RestartSite(int site) {
  ++incarnation_;
  const auto seed = static_cast<std::uint64_t>(incarnation_);
  const auto index = static_cast<std::size_t>(site);
  auto node = std::make_unique<SiteNode>();
  node->loop = world_.MakeNode();
  node->worker = std::make_unique<SimulatedWorker>(
      *node->loop, SimulatedWorkerOptions{.shortest = options_.training_min,
                                          .longest = options_.training_max,
                                          .seed = DeriveSeed(options_.seed, "training", seed)});
  node->link = std::make_unique<MemoryClientLink>(network_, *node->loop, Peer{.name = SiteName(site)});
  ASSIGN_OR_RETURN(node->client, FederatedClient::Create({.site = SiteName(site),
                                                          .task_name = "simulated",
                                                          .folder = kSiteFolder,
                                                          .retry_timeout = std::chrono::hours(24 * 365),
                                                          .jitter_seed = DeriveSeed(options_.seed, "jitter", seed)},
                                                         {.loop = *node->loop,
                                                          .link = *node->link,
                                                          .disk = *site_disks_[index],
                                                          .worker = *node->worker,
                                                          .fitter = node->fitter}));
  RETURN_IF_ERROR(node->client->Start([this, site, index](const ClientOutcome& outcome) {
    site_ended_[index] = true;
    if (!outcome.completed) Break(SiteName(site) + " gave up: " + outcome.why);
  }));
  sites_[index] = std::move(node);
  return {};
}

void Federation::KillSite(int site, bool power_loss) {
  const auto index = static_cast<std::size_t>(site);
  if (!sites_[index]) return;
  SiteNode& node = *sites_[index];
  node.loop->Kill();
  node.worker.reset();
  node.client.reset();
  node.link.reset();
  if (power_loss) {
    site_disks_[index]->Crash(random_);
  } else {
    site_disks_[index]->KillProcess();
  }
  sites_[index].reset();
}

void Federation::Cut(int site, Duration duration) {
  network_.Cut(SiteName(site));
  world_.After(duration, [this, site] { network_.Heal(SiteName(site)); });
}

// ---- trouble --------------------------------------------------------------------------------------------------------

void Federation::Tell(std::string what) {
  story_.push_back(fmt::format("{:10.3f} s  {}", std::chrono::duration<double>(world_.Now().time_since_epoch()).count(),
                               std::move(what)));
}

void Federation::Break(std::string promise) {
  Tell("BROKEN: " + promise);
  broken_.push_back(std::move(promise));
}

bool Federation::Step() {
  if (!broken_.empty()) return true;
  if (trouble_ && faults_ < trouble_->faults_max && random_.Chance(trouble_->chance_per_task)) MakeTrouble();
  if (server_ && server_->server->buffers_held() > kBuffersMax) {
    Break(fmt::format("the server holds {} staged uploads", server_->server->buffers_held()));
  }
  return !broken_.empty();
}

void Federation::MakeTrouble() {
  ++faults_;
  const int site = static_cast<int>(random_.Below(static_cast<std::uint64_t>(options_.sites)));
  const auto index = static_cast<std::size_t>(site);
  const auto pause = std::chrono::milliseconds(1 + random_.Below(600'000));
  const bool power_loss = random_.Chance(0.5);
  const auto revive_server = [this] {
    if (server_ || ended()) return;
    Tell("server starts again");
    if (auto status = RestartServer(); !status.has_value())
      Break("the server does not start: " + status.error().message());
  };
  const auto revive_site = [this, site, index] {
    if (sites_[index] || site_ended_[index]) return;
    Tell(SiteName(site) + " starts again");
    if (auto status = RestartSite(site); !status.has_value()) Break(SiteName(site) + ": " + status.error().message());
  };
  std::uint64_t kind = random_.Below(6);
  // A server that is down has no power to lose.
  if (!server_ && kind < 2) kind = 5;
  switch (kind) {
    case 0:
      Tell(power_loss ? "server loses power" : "server is killed");
      KillServer(power_loss);
      world_.After(pause, revive_server);
      break;
    case 1: {
      // In the middle of whatever it writes next.
      Tell("server will lose power while it writes");
      server_disk_.StopAfter(random_.Below(40));
      server_power_fails_ = true;
      world_.After(pause, [this, revive_server] {
        Tell("server loses power");
        KillServer(true);
        world_.After(std::chrono::seconds(5), revive_server);
      });
      break;
    }
    case 2:
    case 3:
      Tell(SiteName(site) + (power_loss ? " loses power" : " is killed"));
      KillSite(site, power_loss);
      world_.After(pause, revive_site);
      break;
    default:
      Tell(SiteName(site) + " is cut off");
      Cut(site, pause);
  }
}

bool Federation::ended() const {
  return outcome_.has_value() && std::all_of(site_ended_.begin(), site_ended_.end(), [](bool ended) { return ended; });
}

Status Federation::RunToEnd(std::optional<TroubleOptions> trouble) {
  trouble_ = trouble;
  RETURN_IF_ERROR(Start());
  const bool done = RunUntil([this] { return ended(); });
  if (broken_.empty() && !done) Break("the run does not end");
  if (broken_.empty() && outcome_->state != RunState::kCompleted) Break("the run failed: " + outcome_->why);
  if (broken_.empty() && rounds_recorded() != options_.rounds) {
    Break(fmt::format("{} rounds recorded instead of {}", rounds_recorded(), options_.rounds));
  }
  if (broken_.empty()) return {};
  return Internal(fmt::format("seed {}: {}", options_.seed, broken_.front()));
}

// ---- promises -------------------------------------------------------------------------------------------------------

void Federation::CheckRound(const RoundRecord& round, const ModelData& model) {
  Tell(fmt::format("round {} recorded with {}", round.round, fmt::join(round.sites, ", ")));
  if (models_.contains(round.round)) return Break(fmt::format("round {} is recorded twice", round.round));
  const std::set<std::string> distinct(round.sites.begin(), round.sites.end());
  if (distinct.size() != round.sites.size()) return Break(fmt::format("round {} counts a site twice", round.round));
  if (models_.empty()) {
    models_.emplace(round.round, model.Clone());
    return;
  }
  const auto before = models_.find(round.round - 1);
  if (before == models_.end()) return Break(fmt::format("round {} follows nothing", round.round));
  if (static_cast<int>(round.sites.size()) < options_.min_num_clients) {
    return Break(fmt::format("round {} closed with {} sites", round.round, round.sites.size()));
  }
  auto sum = MakeAggregator();
  if (!sum.has_value() || !(*sum)->Begin(round.round, before->second).has_value())
    return Break("no sum to compare with");
  for (const std::string& site : round.sites) {
    auto contribution = ScriptedContribution(site, round.round, options_.seed, before->second);
    if (!(*sum)->Accept(contribution).has_value()) return Break("the sum does not take " + site);
  }
  auto expected = (*sum)->Finish();
  if (!expected.has_value() || !(expected->model == model)) {
    return Break(fmt::format("the model of round {} is not the sum of its recorded sites", round.round));
  }
  models_.emplace(round.round, model.Clone());
}

}  // namespace fed_learn
