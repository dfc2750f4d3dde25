#include "aggregation/components.h"

#include "aggregation/model_aggregator.h"

namespace fed_learn {

void RegisterAggregationComponents(Registry& registry) {
  registry.aggregators.Add("ModelAggregator", [](const Json& args, const ComponentServices& /*services*/) {
    return ModelAggregator::Make(args);
  });
}

}  // namespace fed_learn
