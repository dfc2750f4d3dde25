#include "formats/package.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/text.h"
#include "formats/file_io.h"

namespace fed_learn {
namespace {

constexpr std::string_view kMagic = "FLMODEL1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kReadBytesMax = 1 << 20;  // hashed while they are still in the cache

class TensorSource : public ByteSource {
 public:
  TensorSource(std::shared_ptr<const EncodedModel> encoded, const Selection& selection) : encoded_(std::move(encoded)) {
    for (const std::size_t index : selection) {
      const std::uint64_t length = encoded_->manifest.tensors[index].length;
      if (length == 0) continue;
      pieces_.push_back({size_, encoded_->model[index].tensor.bytes()});
      size_ += length;
    }
  }

  std::uint64_t size() const override { return size_; }

  std::span<const std::byte> At(std::uint64_t offset) const override {
    if (offset >= size_) return {};
    const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                        [](std::uint64_t at, const Piece& piece) { return at < piece.begin; });
    const Piece& piece = *std::prev(after);
    return piece.bytes.subspan(static_cast<std::size_t>(offset - piece.begin));
  }

 private:
  struct Piece {
    std::uint64_t begin;
    std::span<const std::byte> bytes;
  };
  std::shared_ptr<const EncodedModel> encoded_;
  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
};

// The tensors of a model with the package's head before them.
class PackageBytes : public ByteSource {
 public:
  PackageBytes(std::string head, std::shared_ptr<const ByteSource> tensors)
      : head_(std::move(head)), tensors_(std::move(tensors)) {}

  std::uint64_t size() const override { return head_.size() + tensors_->size(); }

  std::span<const std::byte> At(std::uint64_t offset) const override {
    if (offset >= head_.size()) return tensors_->At(offset - head_.size());
    return AsBytes(head_).subspan(static_cast<std::size_t>(offset));
  }

 private:
  std::string head_;
  std::shared_ptr<const ByteSource> tensors_;
};

std::array<std::byte, 8> EncodeLength(std::uint64_t length) {
  std::array<std::byte, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(length >> (8 * i));
  return bytes;
}

std::uint64_t DecodeLength(std::span<const std::byte, 8> bytes) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return length;
}

Status WriteContents(File& file, const EncodedModel& encoded) {
  RETURN_IF_ERROR(file.WriteAt(0, AsBytes(kMagic)));
  RETURN_IF_ERROR(file.WriteAt(kMagic.size(), EncodeLength(encoded.manifest_text.size())));
  RETURN_IF_ERROR(file.WriteAt(kHeaderBytes, AsBytes(encoded.manifest_text)));
  std::uint64_t offset = kHeaderBytes + encoded.manifest_text.size();
  for (std::size_t i = 0; i < encoded.manifest.tensors.size(); ++i) {
    const std::uint64_t length = encoded.manifest.tensors[i].length;
    if (length > 0) RETURN_IF_ERROR(file.WriteAt(offset, encoded.model[i].tensor.bytes()));
    offset += length;
  }
  return {};
}

Result<std::string> ReadManifestText(File& file, std::uint64_t file_size, const PackageLimits& limits) {
  std::array<std::byte, kHeaderBytes> header{};
  if (file_size < kHeaderBytes) return InvalidArgument("not a model package: shorter than its header of 16 bytes");
  RETURN_IF_ERROR(file.ReadAt(0, header));
  if (!std::ranges::equal(std::span(header).first(kMagic.size()), AsBytes(kMagic))) {
    return InvalidArgument("not a model package: it does not begin with FLMODEL1");
  }
  const std::uint64_t length = DecodeLength(std::span<const std::byte, kHeaderBytes>(header).last<8>());
  if (length > limits.manifest_bytes) {
    return ResourceExhausted(
        fmt::format("the manifest has {}; at most {} are read", HumanBytes(length), HumanBytes(limits.manifest_bytes)));
  }
  if (length > file_size - kHeaderBytes) {
    return DataLoss("the file ends inside its manifest; copy it again from where it came");
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  RETURN_IF_ERROR(file.ReadAt(kHeaderBytes, std::as_writable_bytes(std::span(text))));
  return text;
}

Status ReadTensors(File& file, std::uint64_t file_size, std::uint64_t offset, ModelReceiver& receiver) {
  const std::uint64_t there = file_size - offset;
  if (there != receiver.lacking_bytes()) {
    return DataLoss(
        fmt::format("{} bytes of tensors follow the manifest, which announces {}; copy the file again from "
                    "where it came",
                    there, receiver.lacking_bytes()));
  }
  RETURN_IF_ERROR(receiver.Expect(there));
  for (auto space = receiver.Space(); !space.empty(); space = receiver.Space()) {
    const auto piece = space.first(std::min(space.size(), kReadBytesMax));
    RETURN_IF_ERROR(file.ReadAt(offset, piece));
    receiver.Advance(piece.size());
    offset += piece.size();
  }
  return {};
}

}  // namespace

std::shared_ptr<const EncodedModel> EncodeModel(ModelData model) {
  auto encoded = std::make_shared<EncodedModel>();
  encoded->manifest = DescribeModel(model);
  encoded->manifest_text = EncodeManifest(encoded->manifest);
  encoded->id = ModelIdOf(encoded->manifest_text);
  encoded->model = std::move(model);
  return encoded;
}

std::shared_ptr<const ByteSource> SendTensors(std::shared_ptr<const EncodedModel> encoded, const Selection& selection) {
  return std::make_shared<TensorSource>(std::move(encoded), selection);
}

std::shared_ptr<const ByteSource> SendPackage(std::shared_ptr<const EncodedModel> encoded) {
  const auto length = EncodeLength(encoded->manifest_text.size());
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(length.data()), length.size());
  head += encoded->manifest_text;
  Selection all(encoded->model.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return std::make_shared<PackageBytes>(std::move(head), SendTensors(std::move(encoded), all));
}

Status WritePackage(Disk& disk, std::string_view path, const EncodedModel& encoded) {
  return WriteAtomically(disk, path, [&](File& file) { return WriteContents(file, encoded); });
}

Result<std::shared_ptr<const EncodedModel>> ReadPackage(File& file, const PackageLimits& limits) {
  ASSIGN_OR_RETURN(const std::uint64_t file_size, file.Size());
  auto encoded = std::make_shared<EncodedModel>();
  ASSIGN_OR_RETURN(encoded->manifest_text, ReadManifestText(file, file_size, limits));
  ASSIGN_OR_RETURN(encoded->manifest, ParseManifest(encoded->manifest_text, "manifest", limits));
  encoded->id = ModelIdOf(encoded->manifest_text);
  ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>(0));
  RETURN_IF_ERROR(ReadTensors(file, file_size, kHeaderBytes + encoded->manifest_text.size(), receiver));
  ASSIGN_OR_RETURN(encoded->model, receiver.Finish());
  return std::shared_ptr<const EncodedModel>(std::move(encoded));
}

Result<std::shared_ptr<const EncodedModel>> ReadPackage(Disk& disk, std::string_view path,
                                                        const PackageLimits& limits) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, {}));
  auto encoded = ReadPackage(*file, limits);
  if (!encoded.has_value()) return encoded.error().In(path);
  return encoded;
}

}  // namespace fed_learn
