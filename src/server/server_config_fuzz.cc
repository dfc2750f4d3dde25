// Any text as config_fed_server.json: a configuration or one line of error, never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/server_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = fed_learn::ParseServerConfig(text, "c.json");
  if (!config.has_value() && config.error().message().find('\n') != std::string::npos) std::abort();
  return 0;
}
