// The names that this room gives to configurations.
#pragma once

#include "components/registry.h"

namespace fed_learn {

// Savers: SafetensorsModelSaver.
void RegisterFormatsComponents(Registry& registry);

}  // namespace fed_learn
