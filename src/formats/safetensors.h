// Reads and writes *.safetensors (the format of the safetensors library, version 0.x and 1.x).
//
// Nothing in a file is executed, and nothing is allocated on its word alone. Believed in this order; the first rule
// that fails is the error, with file and tensor named:
//   1. the header's length fits in the file and in limits.header_bytes
//   2. the header is a JSON object of {"dtype", "shape", "data_offsets"} objects, and perhaps "__metadata__", an object
//      of strings; no other key, none twice
//   3. names are as ModelData::Add wants them, dtypes known, shape × dtype does not overflow and is the range's length
//   4. the ranges cover the rest of the file exactly, without gap or overlap
//   5. roles in the metadata, if any, are known and name tensors that are there
// Safe from any thread.
//
// Roles are kept in the metadata under "fed_learn.roles": a JSON object from role to the names that have it; all others
// are parameters. Without that key roles are guessed from names.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "formats/file_io.h"
#include "model/model_data.h"

namespace fed_learn {

struct SafetensorsLimits {
  std::uint64_t header_bytes = 100'000'000;  // as the safetensors library has it
};

// Tensors in the order of the header; their values are shared with `file` where they are aligned. InvalidArgument by
// the rules above.
Result<ModelData> ParseSafetensors(const FileBytes& file, std::string_view source,
                                   const SafetensorsLimits& limits = {});

// The header names tensors in the model's order; their values lie with the widest dtype first, so that each is aligned
// in a file that is mapped. The same model gives the same bytes. Atomic. InvalidArgument for a tensor that is called
// "__metadata__".
Status WriteSafetensors(Disk& disk, std::string_view path, const ModelData& model);

}  // namespace fed_learn
