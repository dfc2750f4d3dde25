// An Error says what kind of thing went wrong and, in one line, where and how to mend it.
//
// A value; safe to copy between threads.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace fed_learn {

enum class ErrorKind {
  kInvalidArgument,     // the caller's input is wrong and stays wrong: HTTP 400
  kUnauthenticated,     // the peer is not who it says, or not known: 401
  kPermissionDenied,    // known, but not allowed: 403
  kNotFound,            // 404
  kFailedPrecondition,  // right in itself, wrong now: a stale round, a duplicate: 409
  kAlreadyExists,       // 409
  kResourceExhausted,   // a limit was met: 429
  kCancelled,           // somebody asked to stop: 499
  kUnavailable,         // the other side is away; trying again may help: 503
  kDataLoss,            // bytes are not what their hash says: 422
  kInternal,            // a bug, or the machine (disk full, no memory): 500
};

// The name as it stands in messages and on the wire, for example "invalid_argument".
std::string_view ToString(ErrorKind kind);

// The inverse; kInternal for a name that is not known.
ErrorKind ErrorKindFromString(std::string_view name);

class [[nodiscard]] Error {
 public:
  // `message` names the file, key, tensor or peer and says how to mend it. No newline at its end.
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }

  // The same error with "where: " before its message.
  Error In(std::string_view where) const { return Error(kind_, std::string(where) + ": " + message_); }

  friend bool operator==(const Error&, const Error&) = default;

 private:
  ErrorKind kind_;
  std::string message_;
};

Error InvalidArgument(std::string message);
Error Unauthenticated(std::string message);
Error PermissionDenied(std::string message);
Error NotFound(std::string message);
Error FailedPrecondition(std::string message);
Error AlreadyExists(std::string message);
Error ResourceExhausted(std::string message);
Error Cancelled(std::string message);
Error Unavailable(std::string message);
Error DataLoss(std::string message);
Error Internal(std::string message);

}  // namespace fed_learn
