#include "server/bulk_paths.h"

#include <optional>

namespace fed_learn {
namespace {

std::optional<std::string_view> After(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

BulkPath OfModel(std::string_view rest) {
  const std::size_t slash = rest.find('/');
  BulkPath path{BulkPath::kModel, std::string(rest.substr(0, slash)), ""};
  if (slash == std::string_view::npos) return path;
  const std::string_view part = rest.substr(slash + 1);
  if (part == "manifest") {
    path.kind = BulkPath::kModelManifest;
  } else if (const auto tensors = After(part, "data?tensors=")) {
    path.kind = BulkPath::kModelData;
    path.tensors = *tensors;
  } else {
    path.kind = BulkPath::kUnknown;
  }
  return path;
}

}  // namespace

BulkPath ParseBulkPath(std::string_view path) {
  if (path == "/healthz") return {BulkPath::kHealth, "", ""};
  if (path == "/v1/status") return {BulkPath::kStatus, "", ""};
  if (path == "/v1/rounds") return {BulkPath::kRounds, "", ""};
  if (path == "/v1/updates") return {BulkPath::kOffer, "", ""};
  if (const auto rest = After(path, "/v1/uploads/")) return {BulkPath::kUpload, std::string(*rest), ""};
  if (const auto rest = After(path, "/v1/models/")) return OfModel(*rest);
  return {};
}

}  // namespace fed_learn
