// Heads of requests and responses from anybody: no crash, and what is accepted keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "transport/https/http_head.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fed_learn;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t head_size = HeadSize(text);
  const std::string_view head = head_size > 0 ? text.substr(0, head_size) : text;
  if (const auto request = ParseRequestHead(head); request.has_value()) {
    if (!request->target.starts_with('/')) std::abort();
    if (const auto& range = request->content_range; range && range->first + range->size > range->total) std::abort();
  }
  (void)ParseResponseHead(head);
  if (const auto range = ParseContentRange(text);
      range && ParseContentRange(FormatContentRange(*range)) == std::nullopt) {
    std::abort();
  }
  (void)ErrorFromBody(500, text, "peer");
  return 0;
}
