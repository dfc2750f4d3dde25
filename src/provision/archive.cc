#include "provision/archive.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zip.h>

#include <memory>

namespace fed_learn {
namespace {

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using ArchivePtr = std::unique_ptr<zip_t, Discard>;
using SourcePtr = std::unique_ptr<zip_source_t, FreeSource>;

Error ZipError(std::string_view what, zip_error_t* error) {
  return Internal(fmt::format("making a zip archive: {}: {}", what, zip_error_strerror(error)));
}

// `entry` outlives the closing of the archive: libzip reads its bytes then.
Status AddEntry(zip_t* archive, const ArchiveEntry& entry, std::time_t seconds) {
  SourcePtr source(zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0));
  if (source == nullptr) return ZipError(entry.path, zip_get_error(archive));
  const zip_int64_t index = zip_file_add(archive, entry.path.c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) return ZipError(entry.path, zip_get_error(archive));
  source.release();  // the archive's now
  const auto at = static_cast<zip_uint64_t>(index);
  const zip_uint32_t attributes = static_cast<zip_uint32_t>(S_IFREG | entry.mode) << 16;
  if (zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX, attributes) != 0 ||
      zip_file_set_mtime(archive, at, seconds, 0) != 0) {
    return ZipError(entry.path, zip_get_error(archive));
  }
  return {};
}

Result<std::string> ReadAll(zip_source_t* source) {
  zip_stat_t status;
  if (zip_source_stat(source, &status) != 0 || zip_source_open(source) != 0) {
    return ZipError("reading it back", zip_source_error(source));
  }
  std::string bytes(status.size, '\0');
  const zip_int64_t got = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (got < 0 || static_cast<std::size_t>(got) != bytes.size()) {
    return ZipError("reading it back", zip_source_error(source));
  }
  return bytes;
}

}  // namespace

Result<std::string> MakeArchive(std::span<const ArchiveEntry> entries, WallTime time) {
  zip_error_t error;
  zip_error_init(&error);
  const SourcePtr target(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (target == nullptr) return ZipError("no buffer", &error);
  ArchivePtr archive(zip_open_from_source(target.get(), ZIP_TRUNCATE, &error));
  if (archive == nullptr) return ZipError("no archive", &error);
  zip_source_keep(target.get());  // the archive owns one reference, `target` this one
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  for (const ArchiveEntry& entry : entries) RETURN_IF_ERROR(AddEntry(archive.get(), entry, seconds));
  if (zip_close(archive.get()) != 0) return ZipError("closing it", zip_get_error(archive.get()));
  archive.release();  // freed by a close that worked
  return ReadAll(target.get());
}

}  // namespace fed_learn
