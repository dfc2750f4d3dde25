// Any bytes as a safetensors file: refused, or read as tensors that cover the file exactly.
#include <cstdlib>

#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto model = fed_learn::ParseSafetensors(fed_learn::Unowned(std::as_bytes(std::span(data, size))), "fuzz");
  if (!model.has_value()) return 0;
  std::uint64_t header_bytes = 0;
  for (std::size_t i = 0; i < 8; ++i) header_bytes |= std::uint64_t{data[i]} << (8 * i);
  if (8 + header_bytes + model->byte_size() != size) std::abort();
  return 0;
}
