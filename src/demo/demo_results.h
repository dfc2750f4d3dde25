// DemoResults: what a demo leaves behind: summary.json, the curves as SVG and PNG, the table at the end.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"
#include "demo/comparison.h"
#include "server/store.h"

namespace fed_learn {

struct DemoResults {
  std::vector<RoundRecord> rounds;  // with the one the run started from
  Comparison comparison;
  Json published;  // results of others
  std::uint64_t seed = 0;
  double seconds = 0;
  Json tls;  // as negotiated
  std::string model_sha256;
};

Json SummaryJson(const DemoResults& results);

// The score of the global model over the rounds, for each site.
std::string CurvesSvg(const DemoResults& results);

// Lines for people: the federated model, each site alone, pooled training, the published table.
std::vector<std::string> ClosingTable(const DemoResults& results);

}  // namespace fed_learn
