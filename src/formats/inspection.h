// What is in a model file, for people: names, roles, shapes, norms and hashes.
//
// Safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/hash.h"
#include "base/result.h"
#include "formats/model_file.h"
#include "model/model_data.h"

namespace fed_learn {

// Over the finite values of a tensor, as float64; all zero if it has none.
struct ValueSummary {
  double l2_norm = 0;
  double min = 0;
  double max = 0;
  std::uint64_t finite = 0;      // elements that are neither NaN nor infinite
  std::uint64_t not_finite = 0;  // the others
};

ValueSummary SummarizeValues(const Tensor& tensor);

struct TensorInspection {
  std::string name;
  Role role = Role::kParameter;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t bytes = 0;
  ValueSummary values;
  ContentHash hash;
};

struct ModelInspection {
  std::string path;
  ModelFileFormat format = ModelFileFormat::kPackage;
  std::uint64_t file_bytes = 0;
  std::array<std::uint8_t, 32> file_sha256{};
  std::string model_id;  // as a package of this model would have it
  std::vector<TensorInspection> tensors;

  std::uint64_t parameters() const;  // elements of the role parameter
  std::uint64_t elements() const;    // of all tensors
  std::uint64_t bytes() const;       // of all values
};

// The errors of ReadModelFile.
Result<ModelInspection> InspectModelFile(Disk& disk, std::string_view path);

// A table, its last line ended; foreign names are escaped.
std::string FormatInspection(const ModelInspection& inspection);

// The same for programs, keys in a fixed order. A tensor without finite values has null for min and max.
nlohmann::ordered_json InspectionToJson(const ModelInspection& inspection);

}  // namespace fed_learn
