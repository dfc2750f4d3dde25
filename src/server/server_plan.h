// ServerPlan: a configuration turned into the parts of a FederatedServer. The same for production and simulation.
#pragma once

#include <functional>
#include <memory>

#include "components/model_source.h"
#include "components/registry.h"
#include "server/federated_server.h"
#include "server/server_config.h"

namespace fed_learn {

struct ServerPlan {
  FederatedServerOptions options;
  std::unique_ptr<Aggregator> aggregator;
  std::unique_ptr<ModelSource> source;  // null if not configured
  std::unique_ptr<ModelSaver> saver;    // null if not configured
  ProcessorChain pre_processors;
  ProcessorChain post_processors;

  // From the saver, else from the source, wherever those have been moved to; they outlive it. FailedPrecondition if
  // there is neither.
  std::function<Result<ModelData>()> first_model;
};

// The first component that cannot be made is the error, with its place in the configuration.
Result<ServerPlan> PlanServer(const ServerConfig& config, const Registry& registry, const ComponentServices& services);

}  // namespace fed_learn
