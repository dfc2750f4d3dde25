// The paths of the server's bulk transfers (docs/protocol.md), and the source behind a whole model.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/byte_stream.h"
#include "formats/package.h"

namespace fed_learn {

struct BulkPath {
  enum Kind { kUnknown, kHealth, kStatus, kModel, kModelManifest, kModelData, kOffer, kUpload };
  Kind kind = kUnknown;
  std::string id;       // of the model or upload
  std::string tensors;  // of kModelData
};

// "/healthz", "/v1/status", "/v1/models/<id>", "/v1/models/<id>/manifest", "/v1/models/<id>/data?tensors=0-3,7",
// "/v1/updates", "/v1/uploads/<id>". Anything else is kUnknown.
BulkPath ParseBulkPath(std::string_view path);

// A package file's bytes, from the model in memory.
class PackageSource : public ByteSource {
 public:
  explicit PackageSource(std::shared_ptr<const EncodedModel> model);
  std::uint64_t size() const override { return head_.size() + tensors_->size(); }
  std::span<const std::byte> At(std::uint64_t offset) const override;

 private:
  std::string head_;
  std::shared_ptr<const ByteSource> tensors_;
};

}  // namespace fed_learn
