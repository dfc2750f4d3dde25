// The aggregators that a configuration can name.
#pragma once

#include "components/registry.h"

namespace fed_learn {

// Adds "ModelAggregator".
void RegisterAggregationComponents(Registry& registry);

}  // namespace fed_learn
