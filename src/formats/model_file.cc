#include "formats/model_file.h"

#include <algorithm>

#include "base/hash.h"
#include "formats/npy.h"
#include "formats/npz.h"
#include "formats/package.h"
#include "formats/safetensors.h"
#include "formats/span_file.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kFileBytesMax = 1ull << 40;
constexpr std::string_view kMagic = "FLMODEL1";

// A package is read as a stream, so that its bytes are not in memory twice.
Result<bool> IsPackage(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, {}));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(size, kMagic.size())), '\0');
  RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(head))));
  return head == kMagic;
}

Result<ModelData> ParsePackage(const FileBytes& file, std::string_view path) {
  SpanFile bytes(file.bytes);
  auto encoded = ReadPackage(bytes);
  if (!encoded.has_value()) return encoded.error().In(path);
  return (*encoded)->model;
}

Result<ModelData> ParseOneArray(const FileBytes& file, std::string_view path) {
  ASSIGN_OR_RETURN(Tensor tensor, ParseNpy(file, path));
  ModelData model;
  RETURN_IF_ERROR(model.Add(std::string(StemOf(path)), std::move(tensor)));
  return model;
}

Status WriteOneArray(Disk& disk, std::string_view path, const ModelData& model) {
  if (model.size() != 1) {
    return InvalidArgument(std::string(path) + ": an npy file holds one array, and the model has " +
                           std::to_string(model.size()) + " tensors; write .npz");
  }
  const auto header = EncodeNpyHeader(model[0].tensor);
  if (!header.has_value()) return header.error().In(path);
  return WriteAtomically(disk, path, [&](File& file) -> Status {
    RETURN_IF_ERROR(file.WriteAt(0, AsBytes(*header)));
    return file.WriteAt(header->size(), model[0].tensor.bytes());
  });
}

}  // namespace

std::string_view ToString(ModelFileFormat format) {
  switch (format) {
    case ModelFileFormat::kPackage:
      return "package";
    case ModelFileFormat::kSafetensors:
      return "safetensors";
    case ModelFileFormat::kNpz:
      return "npz";
    case ModelFileFormat::kNpy:
      return "npy";
  }
  return "";
}

Result<ModelFileFormat> DetectModelFile(std::span<const std::byte> bytes, std::string_view source) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with(kMagic)) return ModelFileFormat::kPackage;
  if (text.starts_with("\x93NUMPY")) return ModelFileFormat::kNpy;
  if (text.starts_with("PK\x03\x04") || text.starts_with("PK\x05\x06")) return ModelFileFormat::kNpz;
  if (text.size() > 8 && text[8] == '{') return ModelFileFormat::kSafetensors;
  return InvalidArgument(std::string(source) +
                         ": not a model that can be read; package (.flmodel), safetensors, npz and npy are");
}

Result<ModelData> ParseModelFile(const FileBytes& file, std::string_view path) {
  ASSIGN_OR_RETURN(const ModelFileFormat format, DetectModelFile(file.bytes, path));
  switch (format) {
    case ModelFileFormat::kPackage:
      return ParsePackage(file, path);
    case ModelFileFormat::kSafetensors:
      return ParseSafetensors(file, path);
    case ModelFileFormat::kNpz:
      return ParseNpz(file, path);
    case ModelFileFormat::kNpy:
      return ParseOneArray(file, path);
  }
  return Internal("a model file of no format");
}

Result<ModelData> ReadModelFile(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const bool is_package, IsPackage(disk, path));
  if (is_package) {
    ASSIGN_OR_RETURN(const auto encoded, ReadPackage(disk, path));
    return encoded->model;
  }
  ASSIGN_OR_RETURN(const FileBytes file, ReadWholeFile(disk, path, kFileBytesMax));
  return ParseModelFile(file, path);
}

Status WriteModelFile(Disk& disk, std::string_view path, const ModelData& model) {
  const std::string extension = ExtensionOf(path);
  if (extension == ".flmodel") return WritePackage(disk, path, *EncodeModel(model));
  if (extension == ".safetensors") return WriteSafetensors(disk, path, model);
  if (extension == ".npz") return WriteNpz(disk, path, model);
  if (extension == ".npy") return WriteOneArray(disk, path, model);
  return InvalidArgument(std::string(path) +
                         ": no model format has this extension; use .flmodel, .safetensors, .npz or "
                         ".npy");
}

}  // namespace fed_learn
