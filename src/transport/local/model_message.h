// A model as part of a message: its tensors listed in the header, their bytes in the message's shared memory. One copy
// into the memory where it is sent, none where it is received.
//
// Under a key of the header (usually "model") stands
//   {"tensors": [{"name": …, "role": …, "dtype": …, "shape": […], "offset": …, "length": …}, …]}
// UnpackModel believes nothing: (1) names as ModelData::Add wants them; (2) dtype and role known, a role that is left
// out is guessed; (3) shape × dtype is the length; (4) offsets are multiples of 64, in the order of the list, without
// overlap; (5) the last byte lies in the memory. The first rule that fails is the error, naming peer and tensor.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/model_data.h"
#include "transport/local/channel.h"

namespace fed_learn {

// Offsets of tensors are multiples of this.
inline constexpr std::uint64_t kTensorAlignment = 64;

// Puts a model into a message. REQUIRES: the message has no memory yet.
Status PackModel(const ModelData& model, std::string_view key, LocalMessage& message);

// The model under `key`; its tensors view the message's memory, read-only, and keep it.
Result<ModelData> UnpackModel(const LocalMessage& message, std::string_view key, std::string_view peer);

}  // namespace fed_learn
