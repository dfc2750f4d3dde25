// The paths of the server's bulk transfers (docs/protocol.md).
#pragma once

#include <string>
#include <string_view>

namespace fed_learn {

struct BulkPath {
  enum Kind { kUnknown, kHealth, kStatus, kRounds, kModel, kModelManifest, kModelData, kOffer, kUpload };
  Kind kind = kUnknown;
  std::string id;       // of the model or upload
  std::string tensors;  // of kModelData
};

// "/healthz", "/v1/status", "/v1/rounds", "/v1/models/<id>", "/v1/models/<id>/manifest",
// "/v1/models/<id>/data?tensors=0-3,7",
// "/v1/updates", "/v1/uploads/<id>". Anything else is kUnknown.
BulkPath ParseBulkPath(std::string_view path);

}  // namespace fed_learn
