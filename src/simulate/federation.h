// Federation: a whole federation in one thread under a virtual clock: the production server and clients over the memory
// link and simulated disks. A seed decides everything that production leaves to chance, so a failure is a seed.
//
// Verbs for scenarios (RunUntil, KillServer, Cut…); MakeTrouble for random ones. Checkers watch throughout.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/simulated_disk.h"
#include "base/simulated_loop.h"
#include "client/federated_client.h"
#include "server/federated_server.h"
#include "simulate/scripted_fitter.h"
#include "simulate/simulated_worker.h"
#include "transport/memory/client.h"
#include "transport/memory/network.h"
#include "transport/memory/server.h"

namespace fed_learn {

struct FederationOptions {
  int sites = 3;
  int rounds = 2;
  int min_num_clients = 3;
  std::uint64_t seed = 0;
  std::vector<Shape> tensors = {{3, 4}, {4}, {}};
  Duration training_min = std::chrono::seconds(1);
  Duration training_max = std::chrono::seconds(60);
  MemoryNetworkOptions network;
  PlantedBugs bugs;
};

// Faults per task that the world runs, and how many at most, so that every run can end.
struct TroubleOptions {
  double chance_per_task = 0.02;
  int faults_max = 6;
};

class Federation {
 public:
  explicit Federation(FederationOptions options);
  ~Federation();

  Status Start();

  // Runs until `done()`; false if nothing is left to do or `limit` of virtual time has passed.
  template <typename Predicate>
  bool RunUntil(Predicate done, Duration limit = std::chrono::hours(24 * 30)) {
    return world_.RunUntil([&] { return Step() || done(); }, limit);
  }

  // Everything to its end, with random faults on the way if wanted. An error is a broken promise.
  Status RunToEnd(std::optional<TroubleOptions> trouble = std::nullopt);

  // The process is gone. With `power_loss` also what it had not synced.
  void KillServer(bool power_loss = false);
  Status RestartServer();
  void KillSite(int site, bool power_loss = false);
  Status RestartSite(int site);
  void Cut(int site, Duration duration);

  bool ended() const;  // server and every site
  int rounds_recorded() const { return static_cast<int>(models_.size()) - 1; }
  const std::optional<RunOutcome>& outcome() const { return outcome_; }
  const std::string& model_id() const { return last_model_id_; }
  const std::vector<std::string>& broken_promises() const { return broken_; }
  SimulatedLoop& world() { return world_; }
  const std::vector<std::string>& story() const { return story_; }  // what was done to it, for a failing seed

 private:
  struct ServerNode;
  struct SiteNode;
  class Checker;

  std::string SiteName(int site) const { return "site_" + std::to_string(site); }
  ModelData FirstModel() const;
  bool Step();  // trouble and checks between two tasks; true to stop
  void MakeTrouble();
  void Tell(std::string what);
  void Break(std::string promise);
  void CheckRound(const RoundRecord& round, const ModelData& model);
  Status CheckLastRound();

  FederationOptions options_;
  std::optional<TroubleOptions> trouble_;
  Random random_;
  SimulatedLoop world_;
  MemoryNetwork network_;
  SimulatedDisk server_disk_;
  std::vector<std::unique_ptr<SimulatedDisk>> site_disks_;
  std::unique_ptr<Checker> checker_;
  std::unique_ptr<ServerNode> server_;
  std::vector<std::unique_ptr<SiteNode>> sites_;
  std::vector<bool> site_ended_;
  std::optional<RunOutcome> outcome_;
  std::map<int, ModelData> models_;  // recorded, by round; start_round − 1 is the first
  std::string last_model_id_;
  int incarnation_ = 0;  // of anything that was started, for seeds
  int faults_ = 0;
  bool server_power_fails_ = false;         // its disk has stopped or soon will; only a restart helps
  std::vector<std::string> broken_;
  std::vector<std::string> story_;
};

}  // namespace fed_learn
