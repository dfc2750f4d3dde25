// LocalValues: the variables that never leave the site (exclude_vars), from round to round and across restarts.
#pragma once

#include <string>

#include "base/disk.h"
#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

class LocalValues {
 public:
  // Files local_<round>.flmodel in `folder`. The disk outlives this.
  LocalValues(Disk& disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}

  // `global` with the values as this site's last training before `round` left them; a round that is done again starts
  // from the same values.
  Result<ModelData> Apply(const ModelData& global, int round) const;

  // The values after training in `round`; those of earlier rounds but the last are dropped.
  Status Store(ModelData values, int round) const;

 private:
  Result<std::vector<int>> StoredRounds() const;
  std::string PathOf(int round) const { return folder_ + "/local_" + std::to_string(round) + ".flmodel"; }

  Disk& disk_;
  std::string folder_;
};

// a + b, element by element, for f32 and f64. InvalidArgument for other dtypes or shapes that differ.
Result<Tensor> Sum(const Tensor& a, const Tensor& b);

}  // namespace fed_learn
