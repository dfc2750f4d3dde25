// LocalValues: the variables that never leave the site (exclude_vars), from round to round of a run and across
// restarts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

class LocalValues {
 public:
  // Files local_<run>_<round>.flmodel in `folder`. The disk outlives this.
  LocalValues(Disk& disk, std::string folder, std::int64_t run)
      : disk_(disk), folder_(std::move(folder)), prefix_("local_" + std::to_string(run) + "_") {}

  // `global` with the values as this site's last training of the run before `round` left them; a round that is done
  // again starts from the same values.
  Result<ModelData> Apply(const ModelData& global, int round) const;

  // The values after training in `round`; those of earlier rounds but the last are dropped.
  Status Store(ModelData values, int round) const;

 private:
  Result<std::vector<int>> StoredRounds() const;
  std::optional<int> RoundOf(std::string_view name) const;
  std::string PathOf(int round) const { return folder_ + "/" + prefix_ + std::to_string(round) + ".flmodel"; }

  Disk& disk_;
  std::string folder_;
  std::string prefix_;  // of the files of this run
};

// a + b, element by element, for f32 and f64. InvalidArgument for other dtypes or shapes that differ.
Result<Tensor> Sum(const Tensor& a, const Tensor& b);

}  // namespace fed_learn
