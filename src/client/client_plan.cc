#include "client/client_plan.h"

#include <utility>

namespace fed_learn {
namespace {

// Generators name a value that the client itself measures; here they say that it shall.
bool TakeGenerator(std::vector<ComponentSpec>& specs, std::string_view name) {
  return std::erase_if(specs, [&](const ComponentSpec& spec) { return spec.name == name; }) > 0;
}

// The site's trainer_stall_timeout holds for a trainer that is a program, unless that was given one of its own.
ComponentSpec TrainerOf(const ClientConfig& config) {
  ComponentSpec spec = *config.trainer;
  if (spec.name == "CommandFitter" && !spec.args.contains("trainer_stall_timeout")) {
    spec.args["trainer_stall_timeout"] = config.trainer_stall_timeout.count();
  }
  return spec;
}

}  // namespace

Result<ClientPlan> PlanClient(const ClientConfig& config, const Registry& registry,
                              const ComponentServices& services) {
  if (!config.privacy.empty()) {
    return InvalidArgument("client.privacy asks for '" + config.privacy.front().name +
                           "', and this version has no privacy protocols yet; nothing is sent without it");
  }
  if (!config.trainer) {
    return InvalidArgument(
        "client.trainer is missing in config_fed_client.json; name what trains here, for example "
        "{\"name\": \"TabularFitter\", \"args\": {…}}");
  }
  ClientPlan plan;
  auto pre_processors = config.pre_processors;
  plan.options = {.task_name = config.task_name,
                  .exclude_vars = config.exclude_vars,
                  .local_epochs = config.local_epochs,
                  .steps_aggregation = config.steps_aggregation,
                  .validate_global = TakeGenerator(pre_processors, "InitialValidationMetricGenerator"),
                  .retry_timeout = config.retry_timeout};
  // n_iter travels with every contribution, so its generator has nothing left to do.
  TakeGenerator(pre_processors, "IteratorNumberGenerator");
  ASSIGN_OR_RETURN(plan.fitter, registry.fitters.Make(TrainerOf(config), services));
  ASSIGN_OR_RETURN(plan.pre_processors,
                   MakeProcessorChain(pre_processors, "client.pre_processors", registry, services));
  ASSIGN_OR_RETURN(plan.post_processors,
                   MakeProcessorChain(config.post_processors, "client.post_processors", registry, services));
  return plan;
}

}  // namespace fed_learn
