#include "base/error.h"

#include <array>

namespace fed_learn {
namespace {

constexpr std::array<std::pair<ErrorKind, std::string_view>, 11> kNames = {{
    {ErrorKind::kInvalidArgument, "invalid_argument"},
    {ErrorKind::kUnauthenticated, "unauthenticated"},
    {ErrorKind::kPermissionDenied, "permission_denied"},
    {ErrorKind::kNotFound, "not_found"},
    {ErrorKind::kFailedPrecondition, "failed_precondition"},
    {ErrorKind::kAlreadyExists, "already_exists"},
    {ErrorKind::kResourceExhausted, "resource_exhausted"},
    {ErrorKind::kCancelled, "cancelled"},
    {ErrorKind::kUnavailable, "unavailable"},
    {ErrorKind::kDataLoss, "data_loss"},
    {ErrorKind::kInternal, "internal"},
}};

}  // namespace

std::string_view ToString(ErrorKind kind) {
  for (const auto& [candidate, name] : kNames) {
    if (candidate == kind) return name;
  }
  return "internal";
}

ErrorKind ErrorKindFromString(std::string_view name) {
  for (const auto& [kind, candidate] : kNames) {
    if (candidate == name) return kind;
  }
  return ErrorKind::kInternal;
}

Error InvalidArgument(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }
Error Unauthenticated(std::string message) { return {ErrorKind::kUnauthenticated, std::move(message)}; }
Error PermissionDenied(std::string message) { return {ErrorKind::kPermissionDenied, std::move(message)}; }
Error NotFound(std::string message) { return {ErrorKind::kNotFound, std::move(message)}; }
Error FailedPrecondition(std::string message) { return {ErrorKind::kFailedPrecondition, std::move(message)}; }
Error AlreadyExists(std::string message) { return {ErrorKind::kAlreadyExists, std::move(message)}; }
Error ResourceExhausted(std::string message) { return {ErrorKind::kResourceExhausted, std::move(message)}; }
Error Cancelled(std::string message) { return {ErrorKind::kCancelled, std::move(message)}; }
Error Unavailable(std::string message) { return {ErrorKind::kUnavailable, std::move(message)}; }
Error DataLoss(std::string message) { return {ErrorKind::kDataLoss, std::move(message)}; }
Error Internal(std::string message) { return {ErrorKind::kInternal, std::move(message)}; }

}  // namespace fed_learn
