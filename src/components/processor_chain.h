// ProcessorChain: data processors in configured order. An empty chain costs nothing.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "components/data_processor.h"
#include "components/registry.h"

namespace fed_learn {

class ProcessorChain {
 public:
  void Add(std::string name, std::unique_ptr<DataProcessor> processor);
  bool empty() const { return links_.empty(); }

  // Runs every processor. The first error stops the chain and is returned with the processor's name.
  Status Process(FLContext& data_ctx, const AppContext& app_ctx);

  // From another thread: stops the processor that runs.
  void Abort(const AppContext& app_ctx);

 private:
  struct Link {
    std::string name;
    std::unique_ptr<DataProcessor> processor;
  };
  std::vector<Link> links_;
};

// The chain that a configuration lists under the key `where`. The first component that cannot be made is the error.
Result<ProcessorChain> MakeProcessorChain(const std::vector<ComponentSpec>& specs, std::string_view where,
                                          const Registry& registry, const ComponentServices& services);

}  // namespace fed_learn
