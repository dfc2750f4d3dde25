#include "formats/file_io.h"

#include <fmt/format.h>

#include <cstring>
#include <new>

#include "base/text.h"

namespace fed_learn {
namespace {

std::string_view FolderOf(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status WriteNew(Disk& disk, std::string_view path, const std::function<Status(File&)>& write) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, {.mode = OpenMode::kCreate}));
  RETURN_IF_ERROR(file->Truncate(0));  // a crash may have left one under this name
  RETURN_IF_ERROR(write(*file));
  return file->Sync();
}

}  // namespace

Status WriteAtomically(Disk& disk, std::string_view path, const std::function<Status(File&)>& write) {
  const std::string temporary = std::string(path) + ".tmp";
  Status written = WriteNew(disk, temporary, write);
  if (written.has_value()) written = disk.Rename(temporary, path);
  if (!written.has_value()) {
    // The first error is the one to tell; that the name could not be freed either adds nothing.
    (void)disk.Remove(temporary);
    return written;
  }
  return disk.SyncFolder(FolderOf(path));
}

Result<FileBytes> ReadWholeFile(Disk& disk, std::string_view path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, {}));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > size_max) {
    return ResourceExhausted(
        fmt::format("{}: the file has {}; at most {} are read here", path, HumanBytes(size), HumanBytes(size_max)));
  }
  try {
    auto bytes = std::make_shared<Tensor>(Tensor::Allocate(DType::kU8, {static_cast<std::int64_t>(size)}));
    RETURN_IF_ERROR(file->ReadAt(0, bytes->mutable_bytes()));
    const auto view = bytes->bytes();
    return FileBytes{std::move(bytes), view};
  } catch (const std::bad_alloc&) {
    return ResourceExhausted(fmt::format("{}: there is no memory for its {}", path, HumanBytes(size)));
  }
}

Tensor TensorAt(const FileBytes& file, std::uint64_t offset, DType dtype, Shape shape) {
  const auto size = static_cast<std::size_t>(ElementsOf(shape).value()) * SizeOf(dtype);
  const auto bytes = file.bytes.subspan(static_cast<std::size_t>(offset), size);
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % SizeOf(dtype) == 0;
  if (aligned && file.owner != nullptr) return Tensor::View(dtype, std::move(shape), file.owner, bytes);
  Tensor copy = Tensor::Allocate(dtype, std::move(shape));
  if (size > 0) std::memcpy(copy.mutable_bytes().data(), bytes.data(), size);
  return copy;
}

std::string_view StemOf(std::string_view path) {
  const std::string_view name = path.substr(path.find_last_of('/') + 1);
  const std::size_t dot = name.find_last_of('.');
  return dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot);
}

std::string ExtensionOf(std::string_view path) {
  const std::string_view name = path.substr(path.find_last_of('/') + 1);
  std::string extension(name.substr(StemOf(path).size()));
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return extension;
}

}  // namespace fed_learn
