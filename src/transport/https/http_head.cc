#include "transport/https/http_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <charconv>
#include <limits>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kQuotedBytes = 200;  // of a foreign body, in a message

std::string_view ToView(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// "A<separator>B" -> A, B.
std::optional<std::pair<std::string_view, std::string_view>> Split(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

template <typename Parser>
Status PutHead(Parser& parser, std::string_view head) {
  boost::system::error_code error;
  parser.header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(head.size() + 1, 1 << 20)));
  // Boost 1.74 takes "none" for a limit of nothing.
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error && error != http::error::need_more) return InvalidArgument("not an HTTP head: " + error.message());
  if (!parser.is_header_done()) return InvalidArgument("not an HTTP head: it does not end");
  return {};
}

template <typename Parser, typename Head>
void ReadCommon(const Parser& parser, Head& head) {
  head.keep_alive = parser.keep_alive();
  head.chunked = parser.chunked();
  if (const auto length = parser.content_length()) head.content_length = *length;
}

Result<std::optional<ContentRange>> ReadContentRange(std::string_view text) {
  if (text.empty()) return std::optional<ContentRange>();
  const auto range = ParseContentRange(text);
  if (!range) {
    return InvalidArgument(fmt::format("Content-Range '{}': must be 'bytes FIRST-LAST/TOTAL'", Escaped(text)));
  }
  return range;
}

std::optional<Error> ErrorFromJson(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto kind = json.find("kind");
  const auto message = json.find("message");
  if (kind == json.end() || !kind->is_string() || message == json.end() || !message->is_string()) return std::nullopt;
  return Error(ErrorKindFromString(kind->get_ref<const std::string&>()), message->get_ref<const std::string&>());
}

}  // namespace

std::size_t HeadSize(std::string_view bytes) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t end = bytes.find(kEnd);
  return end == std::string_view::npos ? 0 : end + kEnd.size();
}

Result<RequestHead> ParseRequestHead(std::string_view text) {
  http::request_parser<http::empty_body> parser;
  RETURN_IF_ERROR(PutHead(parser, text));
  const auto& fields = parser.get();
  if (fields.version() != 11) return InvalidArgument("only HTTP/1.1 is spoken here");
  RequestHead head;
  ReadCommon(parser, head);
  head.method = ToView(fields.method_string());
  head.target = ToView(fields.target());
  head.token = ToView(fields[std::string(kTokenHeader)]);
  head.expects_continue = boost::beast::iequals(fields[http::field::expect], "100-continue");
  head.wants_websocket = parser.upgrade() && http::token_list(fields[http::field::upgrade]).exists("websocket");
  head.range = ParseRange(ToView(fields[http::field::range]));
  ASSIGN_OR_RETURN(head.content_range, ReadContentRange(ToView(fields[http::field::content_range])));
  if (!head.target.starts_with('/')) {
    return InvalidArgument(fmt::format("request target '{}': must begin with '/'", Escaped(head.target)));
  }
  return head;
}

Result<ResponseHead> ParseResponseHead(std::string_view text) {
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  RETURN_IF_ERROR(PutHead(parser, text));
  ResponseHead head;
  ReadCommon(parser, head);
  head.status = parser.get().result_int();
  ASSIGN_OR_RETURN(head.content_range, ReadContentRange(ToView(parser.get()[http::field::content_range])));
  return head;
}

std::optional<ByteRange> ParseRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return std::nullopt;
  const auto parts = Split(text.substr(kUnit.size()), '-');
  if (!parts) return std::nullopt;
  const auto first = ParseNumber(parts->first);
  if (!first) return std::nullopt;
  if (parts->second.empty()) return ByteRange{.first = *first, .last = std::nullopt};
  const auto last = ParseNumber(parts->second);
  if (!last || *last < *first) return std::nullopt;
  return ByteRange{.first = *first, .last = last};
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  const auto parts = Split(text.substr(kUnit.size()), '/');
  if (!parts) return std::nullopt;
  const auto total = ParseNumber(parts->second);
  if (!total) return std::nullopt;
  if (parts->first == "*") return ContentRange{.first = *total, .size = 0, .total = *total};
  const auto ends = Split(parts->first, '-');
  if (!ends) return std::nullopt;
  const auto first = ParseNumber(ends->first);
  const auto last = ParseNumber(ends->second);
  if (!first || !last || *last < *first || *last >= *total) return std::nullopt;
  return ContentRange{.first = *first, .size = *last - *first + 1, .total = *total};
}

std::string FormatContentRange(const ContentRange& range) {
  if (range.size == 0) return fmt::format("bytes */{}", range.total);
  return fmt::format("bytes {}-{}/{}", range.first, range.first + range.size - 1, range.total);
}

int StatusOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return 400;
    case ErrorKind::kUnauthenticated:
      return 401;
    case ErrorKind::kPermissionDenied:
      return 403;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kFailedPrecondition:
    case ErrorKind::kAlreadyExists:
      return 409;
    case ErrorKind::kResourceExhausted:
      return 429;
    case ErrorKind::kCancelled:
      return 499;
    case ErrorKind::kUnavailable:
      return 503;
    case ErrorKind::kDataLoss:
      return 422;
    case ErrorKind::kInternal:
      break;
  }
  return 500;
}

std::string_view ReasonOf(int status) {
  return ToView(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))));
}

ErrorKind KindOf(int status) {
  switch (status) {
    case 401:
      return ErrorKind::kUnauthenticated;
    case 403:
    case 407:
      return ErrorKind::kPermissionDenied;
    case 404:
    case 410:
      return ErrorKind::kNotFound;
    case 409:
    case 412:
      return ErrorKind::kFailedPrecondition;
    case 422:
      return ErrorKind::kDataLoss;
    case 429:
      return ErrorKind::kResourceExhausted;
    case 499:
      return ErrorKind::kCancelled;
    case 408:
    case 502:
    case 503:
    case 504:
      return ErrorKind::kUnavailable;
    default:
      return status >= 500 ? ErrorKind::kInternal : ErrorKind::kInvalidArgument;
  }
}

Json ErrorToJson(const Error& error) {
  return Json{{"kind", std::string(ToString(error.kind()))}, {"message", error.message()}};
}

Error ErrorFromBody(int status, std::string_view body, std::string_view peer) {
  if (const Result<Json> json = ParseJson(body, peer); json) {
    if (auto error = ErrorFromJson(*json)) return *std::move(error);
  }
  return Error(KindOf(status), fmt::format("{} answered {} {}: {}", peer, status, ReasonOf(status),
                                           Escaped(body.substr(0, kQuotedBytes))));
}

std::string ClosedMessage(const Error& why) {
  Json message = ErrorToJson(why);
  message["type"] = "closed";
  return DumpJson(message);
}

std::optional<Error> ErrorFromClosedMessage(const Json& message) {
  const auto type = message.find("type");
  if (type == message.end() || *type != "closed") return std::nullopt;
  if (auto error = ErrorFromJson(message)) return error;
  return Unavailable("the server has closed the session");
}

std::string DumpJson(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace fed_learn
