// Workload: the model and the updates of a benchmark run, the same in every process that knows the numbers.
//
// Every site has another update in every round: each is a window into one pool of random values, and no two windows
// begin at the same place. So an update costs no copy, and a hundred sites need no more memory than one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_data.h"

namespace fed_learn {

struct WorkloadOptions {
  std::int64_t elements = 250'000;  // of the model, f32
  int sites = 8;
  int rounds = 10;
};

std::string SiteName(int site);  // "site_1" for 0

// Not thread-safe.
class Workload {
 public:
  explicit Workload(WorkloadOptions options);

  const WorkloadOptions& options() const { return options_; }
  std::uint64_t model_bytes() const { return static_cast<std::uint64_t>(options_.elements) * sizeof(float); }

  // Own memory each time.
  ModelData FirstModel() const;

  // Views of the pool, which lives as long as one of them.
  ModelData UpdateOf(int site, int round);

  // The weight of a site; they differ.
  double Iterations(int site) const { return 10 + site % 7; }

 private:
  WorkloadOptions options_;
  std::vector<std::int64_t> tensor_elements_;
  Tensor pool_;  // empty until the first update is asked for
};

}  // namespace fed_learn
