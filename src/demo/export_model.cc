#include "demo/export_model.h"

#include "base/hash.h"
#include "formats/model_file.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

Result<std::string> FileSha256(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, disk.Open(path, {}));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  std::vector<std::byte> piece(kPieceBytes);
  Sha256 sha256;
  for (std::uint64_t at = 0; at < size; at += kPieceBytes) {
    const std::span<std::byte> bytes =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(size - at, kPieceBytes)));
    RETURN_IF_ERROR(file->ReadAt(at, bytes));
    sha256.Update(bytes);
  }
  return ToHex(sha256.Finish());
}

}  // namespace

Result<ExportedModel> ExportModel(Disk& disk, const std::string& store_folder, const std::string& model_id,
                                  const std::string& folder) {
  ASSIGN_OR_RETURN(const auto encoded, ReadPackage(disk, store_folder + "/" + model_id + ".flmodel"));
  ExportedModel exported{folder + "/model.safetensors", folder + "/model.npz", ""};
  RETURN_IF_ERROR(WriteModelFile(disk, exported.safetensors, encoded->model));
  RETURN_IF_ERROR(WriteModelFile(disk, exported.npz, encoded->model));
  ASSIGN_OR_RETURN(exported.sha256, FileSha256(disk, exported.safetensors));
  return exported;
}

}  // namespace fed_learn
