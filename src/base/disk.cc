#include "base/disk.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace fed_learn {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

std::string_view FolderOf(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status WriteNewFile(Disk& disk, std::string_view path, std::span<const std::byte> bytes, bool secret) {
  ASSIGN_OR_RETURN(const auto file, disk.Open(path, {.mode = OpenMode::kCreateExclusive, .secret = secret}));
  RETURN_IF_ERROR(file->WriteAt(0, bytes));
  return file->Sync();
}

}  // namespace

Result<std::string> ReadFile(Disk& disk, std::string_view path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const auto file, disk.Open(path, {.mode = OpenMode::kRead}));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > size_max) {
    return ResourceExhausted(fmt::format("{}: the file has {} bytes; at most {} are read here", path, size, size_max));
  }
  std::string text(size, '\0');
  RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

Status WriteFileAtomically(Disk& disk, std::string_view path, std::span<const std::byte> bytes, bool secret) {
  const std::string temporary = std::string(path) + std::string(kTemporarySuffix);
  // What a crash left under this name may be readable by others: a secret goes into a file made anew.
  if (const Status removed = disk.Remove(temporary);
      !removed.has_value() && removed.error().kind() != ErrorKind::kNotFound) {
    return removed;
  }
  Status written = WriteNewFile(disk, temporary, bytes, secret);
  if (written.has_value()) written = disk.Rename(temporary, path);
  if (!written.has_value()) {
    // The first error is the one to tell; that the name could not be freed either adds nothing.
    (void)disk.Remove(temporary);
    return written;
  }
  return disk.SyncFolder(FolderOf(path));
}

Status WriteFileAtomically(Disk& disk, std::string_view path, std::string_view text, bool secret) {
  return WriteFileAtomically(disk, path, AsBytes(text), secret);
}

}  // namespace fed_learn
