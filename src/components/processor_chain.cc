#include "components/processor_chain.h"

namespace fed_learn {

void ProcessorChain::Add(std::string name, std::unique_ptr<DataProcessor> processor) {
  links_.push_back({std::move(name), std::move(processor)});
}

Status ProcessorChain::Process(FLContext& data_ctx, const AppContext& app_ctx) {
  for (Link& link : links_) {
    if (app_ctx.abort.IsSet()) return Cancelled(link.name + ": aborted");
    if (auto status = link.processor->Process(data_ctx, app_ctx); !status.has_value()) {
      return status.error().In(link.name);
    }
  }
  return {};
}

void ProcessorChain::Abort(const AppContext& app_ctx) {
  for (Link& link : links_) link.processor->Abort(app_ctx);
}

Result<ProcessorChain> MakeProcessorChain(const std::vector<ComponentSpec>& specs, std::string_view where,
                                          const Registry& registry, const ComponentServices& services) {
  ProcessorChain chain;
  for (const ComponentSpec& spec : specs) {
    auto processor = registry.processors.Make(spec, services);
    if (!processor.has_value()) return processor.error().In(where);
    chain.Add(spec.name, *std::move(processor));
  }
  return chain;
}

}  // namespace fed_learn
