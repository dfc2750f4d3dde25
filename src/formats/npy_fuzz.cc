// Any bytes as an npy file: refused, or read as a tensor that is written and read again as it is.
#include <cstdlib>

#include "base/hash.h"
#include "formats/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto tensor = fed_learn::ParseNpy(fed_learn::Unowned(std::as_bytes(std::span(data, size))), "fuzz");
  if (!tensor.has_value()) return 0;
  const auto bytes = tensor->bytes();
  const std::string again = fed_learn::EncodeNpyHeader(*tensor).value() +
                            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (fed_learn::ParseNpy(fed_learn::Unowned(fed_learn::AsBytes(again)), "again").value() != *tensor) std::abort();
  return 0;
}
