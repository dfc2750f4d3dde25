#include "trainers/components.h"

#include <memory>

#include "components/fitter.h"
#include "components/model_source.h"
#include "trainers/tabular_fitter.h"
#include "trainers/tabular_model_source.h"

namespace fed_learn {

void RegisterTrainersComponents(Registry& registry) {
  registry.fitters.Add("TabularFitter",
                       [](const Json& args, const ComponentServices& services) -> Result<std::unique_ptr<Fitter>> {
                         return std::make_unique<TabularFitter>(args, services);
                       });
  registry.sources.Add("TabularModel",
                       [](const Json& args, const ComponentServices&) -> Result<std::unique_ptr<ModelSource>> {
                         ASSIGN_OR_RETURN(std::unique_ptr<ModelSource> source, TabularModelSource::FromArgs(args));
                         return source;
                       });
}

}  // namespace fed_learn
