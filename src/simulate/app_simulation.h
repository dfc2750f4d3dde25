// SimulateApp: an app's whole federation in one process, over the memory link. The server, the clients, the trainer and
// the configuration are those of production, so the same app and seed give the same model there.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "client/client_config.h"
#include "components/registry.h"
#include "server/federated_server.h"
#include "server/server_config.h"

namespace fed_learn {

enum class SimulationClock {
  kReal,       // each site trains on a thread of its own
  kSimulated,  // one thread; waiting takes no time
};

struct AppSimulationOptions {
  ServerConfig server;
  ClientConfig client;
  std::vector<std::string> sites;
  std::string app_folder;
  std::string run_folder;  // made if absent; a run that is unfinished there goes on
  SimulationClock clock = SimulationClock::kReal;
};

// Runs to the end. The error of the first site that gave up, or the run's, if it did not complete.
Result<RunOutcome> SimulateApp(const AppSimulationOptions& options, const Registry& registry, Disk& disk,
                               std::vector<ServerObserver*> observers);

}  // namespace fed_learn
