// ClientPlan: a configuration turned into the parts of a FederatedClient. The same for production and simulation.
#pragma once

#include <memory>

#include "client/client_config.h"
#include "client/federated_client.h"
#include "components/registry.h"

namespace fed_learn {

struct ClientPlan {
  FederatedClientOptions options;  // site, folder and jitter_seed are the caller's to fill in
  std::unique_ptr<Fitter> fitter;
  ProcessorChain pre_processors;
  ProcessorChain post_processors;
};

// The first component that cannot be made is the error, with its place in the configuration.
Result<ClientPlan> PlanClient(const ClientConfig& config, const Registry& registry, const ComponentServices& services);

}  // namespace fed_learn
