// ExportModel: the final model of a run in the formats that people use.
#pragma once

#include <string>

#include "base/disk.h"
#include "base/result.h"

namespace fed_learn {

struct ExportedModel {
  std::string safetensors;  // paths
  std::string npz;
  std::string sha256;  // of the safetensors file, so `sha256sum` shows the same
};

// Reads the package `model_id` in `store_folder` and writes model.safetensors and model.npz into `folder`.
Result<ExportedModel> ExportModel(Disk& disk, const std::string& store_folder, const std::string& model_id,
                                  const std::string& folder);

}  // namespace fed_learn
