#include "server/server_plan.h"

#include <utility>

namespace fed_learn {
namespace {

// The server's own exclude_vars holds for its aggregator, unless that was given one of its own.
ComponentSpec AggregatorOf(const ServerConfig& config) {
  ComponentSpec spec = config.aggregator;
  if (!config.exclude_vars.empty() && !spec.args.contains("exclude_vars")) {
    spec.args["exclude_vars"] = config.exclude_vars;
  }
  return spec;
}

Result<ModelData> FirstModel(ModelSaver* saver, ModelSource* source) {
  if (saver != nullptr) return saver->LoadModel();
  if (source != nullptr) return source->Build();
  return FailedPrecondition(
      "nothing says which model to begin with; give 'model' or a 'model_saver' with ckpt_preload_path in "
      "config_fed_server.json");
}

}  // namespace

Result<ServerPlan> PlanServer(const ServerConfig& config, const Registry& registry, const ComponentServices& services) {
  ServerPlan plan;
  plan.options = {.task_name = config.task_name,
                  .config_sha256 = config.sha256,
                  .folder = services.run_folder,
                  .seed = config.seed,
                  .min_num_clients = config.min_num_clients,
                  .max_num_clients = config.max_num_clients,
                  .wait_after_min_clients = config.wait_after_min_clients,
                  .heart_beat_timeout = config.heart_beat_timeout,
                  .round_timeout = config.round_timeout,
                  .start_round = config.start_round,
                  .num_rounds = config.num_rounds};
  ASSIGN_OR_RETURN(plan.aggregator, registry.aggregators.Make(AggregatorOf(config), services));
  if (config.model) {
    ASSIGN_OR_RETURN(plan.source, registry.sources.Make(*config.model, services));
  }
  if (config.model_saver) {
    ASSIGN_OR_RETURN(plan.saver, registry.savers.Make(*config.model_saver, services));
    RETURN_IF_ERROR(plan.saver->Initialize(plan.source.get()));
  }
  plan.first_model = [saver = plan.saver.get(), source = plan.source.get()] { return FirstModel(saver, source); };
  ASSIGN_OR_RETURN(plan.pre_processors,
                   MakeProcessorChain(config.pre_processors, "pre_processors", registry, services));
  ASSIGN_OR_RETURN(plan.post_processors,
                   MakeProcessorChain(config.post_processors, "post_processors", registry, services));
  return plan;
}

}  // namespace fed_learn
