// What a run of a workload has to end in, found without server, link and disk.
#pragma once

#include <string>

#include "base/result.h"
#include "benchmarks/federation/workload.h"

namespace fed_learn {

// The id of the model after the last round. Each round is summed by a ModelAggregator of its own, and again with plain
// doubles, element by element; Internal if the two differ by more than rounding explains.
Result<std::string> ExpectedModelId(const WorkloadOptions& options);

}  // namespace fed_learn
