// The heads of HTTP/1.1 requests and responses, as far as docs/protocol.md uses them. Values; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

// The header that carries BulkRequest::token.
inline constexpr std::string_view kTokenHeader = "x-fed-learn-token";
// Where the control channel is opened.
inline constexpr std::string_view kControlPath = "/v1/control";

// "Range: bytes=FIRST-" or "bytes=FIRST-LAST".
struct ByteRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;  // inclusive
};

// "Content-Range: bytes FIRST-LAST/TOTAL", or "bytes */TOTAL" for nothing of it: first == total then.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t size = 0;  // of this part
  std::uint64_t total = 0;
};

struct RequestHead {
  std::string method;
  std::string target;
  std::string token;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  bool wants_websocket = false;
  std::optional<std::uint64_t> content_length;
  std::optional<ByteRange> range;  // absent also for a form of Range that is not understood: all is sent
  std::optional<ContentRange> content_range;
};

struct ResponseHead {
  int status = 0;
  bool keep_alive = true;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
  std::optional<ContentRange> content_range;
};

// How long the head at the start of `bytes` is, blank line included; 0 if it is not all there.
std::size_t HeadSize(std::string_view bytes);

// `head` is what HeadSize measured. InvalidArgument for what is not a head.
Result<RequestHead> ParseRequestHead(std::string_view head);
Result<ResponseHead> ParseResponseHead(std::string_view head);

// "bytes=5-" and so on; nothing for a form that is not ours.
std::optional<ByteRange> ParseRange(std::string_view text);
std::optional<ContentRange> ParseContentRange(std::string_view text);
std::string FormatContentRange(const ContentRange& range);

// The HTTP status for a kind of error, and its reason phrase.
int StatusOf(ErrorKind kind);
std::string_view ReasonOf(int status);

// The kind that best fits a status without a JSON body, as a proxy sends it.
ErrorKind KindOf(int status);

// {"kind": …, "message": …}
Json ErrorToJson(const Error& error);
// The inverse. A body that is not such JSON becomes an error of the status' kind with the text's beginning. `peer` is
// for the message.
Error ErrorFromBody(int status, std::string_view body, std::string_view peer);

// The last message of a session that the server ends: {"type": "closed", "kind": …, "message": …}, as text.
std::string ClosedMessage(const Error& why);
// The error in such a message; nothing for any other message.
std::optional<Error> ErrorFromClosedMessage(const Json& message);

// JSON text; bytes that are not UTF-8 are replaced, so that it never fails.
std::string DumpJson(const Json& json);

}  // namespace fed_learn
