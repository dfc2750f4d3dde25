// The components of this room by name.
#pragma once

#include "components/registry.h"

namespace fed_learn {

// Fitters: TabularFitter. Model sources: TabularModel.
void RegisterTrainersComponents(Registry& registry);

}  // namespace fed_learn
