#include "client/components.h"

#include "client/command_fitter.h"

namespace fed_learn {

void RegisterClientComponents(Registry& registry) {
  registry.fitters.Add("CommandFitter",
                       [](const Json& args, const ComponentServices& services) -> Result<std::unique_ptr<Fitter>> {
                         return CommandFitter::FromArgs(args, services.app_folder);
                       });
}

}  // namespace fed_learn
