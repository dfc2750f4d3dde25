#include "simulate/app_simulation.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/simulated_loop.h"
#include "base/thread_worker.h"
#include "client/client_plan.h"
#include "server/server_plan.h"
#include "server/sqlite_store.h"
#include "simulate/simulated_worker.h"
#include "transport/asio_loop.h"
#include "transport/memory/client.h"
#include "transport/memory/network.h"
#include "transport/memory/server.h"

namespace fed_learn {
namespace {

struct Site {
  ClientPlan plan;
  std::unique_ptr<MemoryClientLink> link;
  std::unique_ptr<FederatedClient> client;
  std::unique_ptr<Worker> worker;  // stops before the client goes
  bool ended = false;

  ~Site() {
    worker.reset();
    client.reset();
    if (plan.fitter) plan.fitter->Close();
  }
};

class Simulation {
 public:
  Simulation(const AppSimulationOptions& options, const Registry& registry, Disk& disk, Loop& loop, Task on_end)
      : options_(options),
        registry_(registry),
        disk_(disk),
        loop_(loop),
        on_end_(std::move(on_end)),
        network_(loop, options.server.seed, {}) {}

  Status StartServer(std::vector<ServerObserver*> observers) {
    ASSIGN_OR_RETURN(
        plan_, PlanServer(options_.server, registry_,
                          {.disk = &disk_, .app_folder = options_.app_folder, .run_folder = options_.run_folder}));
    plan_.options.folder = options_.run_folder + "/store";
    RETURN_IF_ERROR(disk_.MakeFolders(plan_.options.folder));
    ASSIGN_OR_RETURN(store_, OpenSqliteStore(disk_, plan_.options.folder));
    link_ = std::make_unique<MemoryServerLink>(network_, loop_);
    auto tokens = std::make_shared<Random>(DeriveSeed(options_.server.seed, "tokens"));
    server_ = std::make_unique<FederatedServer>(
        plan_.options, FederatedServerParts{.loop = loop_,
                                            .link = *link_,
                                            .store = *store_,
                                            .disk = disk_,
                                            .aggregator = std::move(plan_.aggregator),
                                            .saver = std::move(plan_.saver),
                                            .first_model = plan_.first_model,
                                            .pre_processors = std::move(plan_.pre_processors),
                                            .post_processors = std::move(plan_.post_processors),
                                            .make_token = [tokens] { return std::to_string(tokens->Next()); },
                                            .observers = std::move(observers)});
    return server_->Start([this](const RunOutcome& outcome) {
      outcome_ = outcome;
      if (ended()) on_end_();
    });
  }

  Status StartSite(const std::string& name, std::unique_ptr<Worker> worker) {
    const std::string folder = options_.run_folder + "/" + name;
    auto site = std::make_unique<Site>();
    ASSIGN_OR_RETURN(site->plan, PlanClient(options_.client, registry_,
                                            {.disk = &disk_, .app_folder = options_.app_folder, .run_folder = folder}));
    site->plan.options.site = name;
    site->plan.options.folder = folder;
    site->plan.options.jitter_seed = options_.server.seed;
    site->link = std::make_unique<MemoryClientLink>(network_, loop_, Peer{.name = name});
    site->worker = std::move(worker);
    ASSIGN_OR_RETURN(site->client, FederatedClient::Create(site->plan.options,
                                                           {.loop = loop_,
                                                            .link = *site->link,
                                                            .disk = disk_,
                                                            .worker = *site->worker,
                                                            .fitter = *site->plan.fitter,
                                                            .pre_processors = std::move(site->plan.pre_processors),
                                                            .post_processors = std::move(site->plan.post_processors)}));
    RETURN_IF_ERROR(site->client->Start([this, name, site = site.get()](const ClientOutcome& outcome) {
      site->ended = true;
      if (!outcome.completed && !failure_) failure_ = Internal(name + ": " + outcome.why);
      // A site that gave up is missed for good: nobody would start it again.
      if (!outcome.completed) server_->AbortRun(name + " gave up: " + outcome.why);
      if (ended()) on_end_();
    }));
    sites_.push_back(std::move(site));
    return {};
  }

  bool ended() const {
    return outcome_ && std::all_of(sites_.begin(), sites_.end(), [](const auto& site) { return site->ended; });
  }

  Result<RunOutcome> Outcome() const {
    if (failure_) return *failure_;
    if (!outcome_) return Internal("the simulation stopped before its run had ended");
    if (outcome_->state != RunState::kCompleted) return Internal(outcome_->why);
    return *outcome_;
  }

 private:
  const AppSimulationOptions& options_;
  const Registry& registry_;
  Disk& disk_;
  Loop& loop_;
  Task on_end_;
  MemoryNetwork network_;
  ServerPlan plan_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<MemoryServerLink> link_;
  std::unique_ptr<FederatedServer> server_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::optional<RunOutcome> outcome_;
  std::optional<Error> failure_;
};

Status StartAll(Simulation& simulation, const AppSimulationOptions& options, std::vector<ServerObserver*> observers,
                const std::function<std::unique_ptr<Worker>()>& make_worker) {
  RETURN_IF_ERROR(simulation.StartServer(std::move(observers)));
  for (const std::string& name : options.sites) RETURN_IF_ERROR(simulation.StartSite(name, make_worker()));
  return {};
}

}  // namespace

Result<RunOutcome> SimulateApp(const AppSimulationOptions& options, const Registry& registry, Disk& disk,
                               std::vector<ServerObserver*> observers) {
  RETURN_IF_ERROR(disk.MakeFolders(options.run_folder));
  if (options.clock == SimulationClock::kSimulated) {
    SimulatedLoop loop;
    Simulation simulation(options, registry, disk, loop, [] {});
    RETURN_IF_ERROR(StartAll(simulation, options, std::move(observers),
                             [&] { return std::make_unique<SimulatedWorker>(loop, SimulatedWorkerOptions{}); }));
    loop.RunUntil([&] { return simulation.ended(); });
    return simulation.Outcome();
  }
  AsioLoop loop;
  Simulation simulation(options, registry, disk, loop, [&loop] { loop.Stop(); });
  RETURN_IF_ERROR(
      StartAll(simulation, options, std::move(observers), [&] { return std::make_unique<ThreadWorker>(loop); }));
  loop.Run();
  return simulation.Outcome();
}

}  // namespace fed_learn
