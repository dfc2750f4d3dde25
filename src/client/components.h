// The names that the client's room adds to the registry.
#pragma once

#include "components/registry.h"

namespace fed_learn {

// Fitter "CommandFitter".
void RegisterClientComponents(Registry& registry);

}  // namespace fed_learn
