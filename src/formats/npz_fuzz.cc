// Any bytes as an npz file: refused, or read within the limits.
#include <cstdlib>

#include "formats/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr fed_learn::NpzLimits limits{.model_bytes = 1 << 20};
  const auto model = fed_learn::ParseNpz(fed_learn::Unowned(std::as_bytes(std::span(data, size))), "fuzz", limits);
  if (model.has_value() && model->byte_size() > limits.model_bytes) std::abort();
  return 0;
}
