// Reads and writes *.npz, NumPy's zip of arrays: one member "<tensor's name>.npy" each.
//
// Believed in this order; the first rule that fails is the error, with file and member named:
//   1. it is a zip whose directory is consistent with its members (libzip's check)
//   2. members are called "….npy", uniquely, are stored or deflated, and not encrypted
//   3. no member claims more bytes than its compressed bytes can hold, and all together at most limits.model_bytes
//   4. each member's CRC-32 holds, and it is an array that ParseNpy accepts
// Safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "formats/file_io.h"
#include "model/model_data.h"

namespace fed_learn {

struct NpzLimits {
  std::uint64_t model_bytes = 1ull << 40;
};

// Tensors in the order of the zip's directory, with roles by GuessRole. InvalidArgument or ResourceExhausted by the
// rules above.
Result<ModelData> ParseNpz(const FileBytes& file, std::string_view source, const NpzLimits& limits = {});

// Members are stored, so that NumPy can map them, in the model's order and without times: the same model gives the same
// bytes. Roles are not kept. Atomic. InvalidArgument for a bf16 tensor, or a name with a zero byte.
Status WriteNpz(Disk& disk, std::string_view path, const ModelData& model);

}  // namespace fed_learn
