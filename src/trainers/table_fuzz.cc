// Any bytes are a table or an error; every cell of a table can be read.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trainers/table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = fed_learn::Table::Parse(text, "fuzz.csv");
  if (!table.has_value()) return 0;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    for (std::size_t column = 0; column < table->columns().size(); ++column) {
      static_cast<void>(table->Number(row, column));
    }
  }
  return 0;
}
