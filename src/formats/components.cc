#include "formats/components.h"

#include "formats/safetensors_model_saver.h"

namespace fed_learn {

void RegisterFormatsComponents(Registry& registry) {
  registry.savers.Add("SafetensorsModelSaver", SafetensorsModelSaver::Make);
}

}  // namespace fed_learn
