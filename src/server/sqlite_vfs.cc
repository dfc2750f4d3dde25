#include "server/sqlite_vfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/hash.h"

namespace fed_learn {
namespace {

constexpr int kPathBytesMax = 1024;
constexpr int kSectorBytes = 4096;
constexpr double kJulianDayOf1970 = 2440587.5;
constexpr std::size_t kSummedBytes = SqliteVfs::kPageBytes - SqliteVfs::kReservedBytes;

using Page = std::array<std::byte, SqliteVfs::kPageBytes>;
using Trailer = std::array<std::uint32_t, 2>;
static_assert(sizeof(Trailer) == SqliteVfs::kReservedBytes);

std::string FolderOf(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<std::size_t>(slash, 1)));
}

Trailer TrailerOf(std::span<const std::byte> page, std::uint32_t number) {
  return {Crc32c(page.first(kSummedBytes), number), number};
}

bool IsWholePage(int amount, sqlite3_int64 offset) {
  return amount == SqliteVfs::kPageBytes && offset % SqliteVfs::kPageBytes == 0;
}

std::uint32_t PageNumber(sqlite3_int64 offset) {
  return static_cast<std::uint32_t>(offset / SqliteVfs::kPageBytes + 1);
}

// What stands behind SQLite's sqlite3_file, which must come first and is all that SQLite knows of it.
struct OpenFile {
  sqlite3_file base{};
  std::unique_ptr<File> file;
  std::string path;
  bool is_database = false;
  bool name_is_safe = false;  // the folder was synced since the file was opened
  SqliteVfs* self = nullptr;
};

}  // namespace

struct SqliteVfs::Calls {
  static SqliteVfs& Self(sqlite3_vfs* vfs) { return *static_cast<SqliteVfs*>(vfs->pAppData); }

  static OpenFile& Of(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }

  static int Fail(SqliteVfs& self, Error error, int code) {
    self.error_ = std::move(error);
    return code;
  }

  static int Close(sqlite3_file* file) noexcept {
    std::destroy_at(&Of(file));
    return SQLITE_OK;
  }

  static int Read(sqlite3_file* file, void* into, int amount, sqlite3_int64 offset) noexcept {
    OpenFile& handle = Of(file);
    const std::span out(static_cast<std::byte*>(into), static_cast<std::size_t>(amount));
    const auto size = handle.file->Size();
    if (!size.has_value()) return Fail(*handle.self, size.error(), SQLITE_IOERR_READ);
    const auto begin = static_cast<std::uint64_t>(offset);
    const std::size_t there = begin >= *size ? 0 : std::min<std::uint64_t>(out.size(), *size - begin);
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(there), out.end(), std::byte{0});
    if (const Status read = handle.file->ReadAt(begin, out.first(there)); !read.has_value()) {
      return Fail(*handle.self, read.error(), SQLITE_IOERR_READ);
    }
    // A page that was cut short is damaged; one behind the end is only not there.
    if (there > 0 && handle.is_database && IsWholePage(amount, offset)) return CheckPage(handle, out, offset);
    return there < out.size() ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
  }

  static int CheckPage(OpenFile& handle, std::span<const std::byte> page, sqlite3_int64 offset) {
    Trailer stored;
    std::memcpy(stored.data(), page.data() + kSummedBytes, sizeof(stored));
    if (stored == TrailerOf(page, PageNumber(offset))) return SQLITE_OK;
    return Fail(*handle.self,
                DataLoss(fmt::format("{}: page {} is not what was written", handle.path, PageNumber(offset))),
                SQLITE_CORRUPT);
  }

  static int Write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) noexcept {
    OpenFile& handle = Of(file);
    std::span bytes(static_cast<const std::byte*>(from), static_cast<std::size_t>(amount));
    Page page;
    if (handle.is_database && IsWholePage(amount, offset)) {
      const Trailer trailer = TrailerOf(bytes, PageNumber(offset));
      std::copy_n(bytes.begin(), kSummedBytes, page.begin());
      std::memcpy(page.data() + kSummedBytes, trailer.data(), sizeof(trailer));
      bytes = page;
    }
    if (const Status wrote = handle.file->WriteAt(static_cast<std::uint64_t>(offset), bytes); !wrote.has_value()) {
      return Fail(*handle.self, wrote.error(), SQLITE_IOERR_WRITE);
    }
    return SQLITE_OK;
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) noexcept {
    OpenFile& handle = Of(file);
    if (const Status cut = handle.file->Truncate(static_cast<std::uint64_t>(size)); !cut.has_value()) {
      return Fail(*handle.self, cut.error(), SQLITE_IOERR_TRUNCATE);
    }
    return SQLITE_OK;
  }

  static int Sync(sqlite3_file* file, int) noexcept {
    OpenFile& handle = Of(file);
    if (const Status synced = handle.file->Sync(); !synced.has_value()) {
      return Fail(*handle.self, synced.error(), SQLITE_IOERR_FSYNC);
    }
    if (handle.name_is_safe) return SQLITE_OK;
    // Even of a file that was there: the process that made it may have died before it synced the folder.
    if (const Status synced = handle.self->disk_.SyncFolder(FolderOf(handle.path)); !synced.has_value()) {
      return Fail(*handle.self, synced.error(), SQLITE_IOERR_DIR_FSYNC);
    }
    handle.name_is_safe = true;
    return SQLITE_OK;
  }

  static int FileSize(sqlite3_file* file, sqlite3_int64* size) noexcept {
    OpenFile& handle = Of(file);
    const auto found = handle.file->Size();
    if (!found.has_value()) return Fail(*handle.self, found.error(), SQLITE_IOERR_FSTAT);
    *size = static_cast<sqlite3_int64>(*found);
    return SQLITE_OK;
  }

  static int Lock(sqlite3_file*, int) noexcept { return SQLITE_OK; }
  static int IsReserved(sqlite3_file*, int* reserved) noexcept {
    *reserved = 0;
    return SQLITE_OK;
  }

  static int FileControl(sqlite3_file*, int operation, void* argument) noexcept {
    if (operation != SQLITE_FCNTL_PERSIST_WAL) return SQLITE_NOTFOUND;
    // A database that closes late, after its process has died in a simulation, must not remove its successor's log.
    *static_cast<int*>(argument) = 1;
    return SQLITE_OK;
  }

  static int SectorSize(sqlite3_file*) noexcept { return kSectorBytes; }
  static int Characteristics(sqlite3_file*) noexcept { return 0; }

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) noexcept {
    SqliteVfs& self = Self(vfs);
    OpenFile& handle = *std::construct_at(reinterpret_cast<OpenFile*>(file));
    auto opened = path == nullptr ? Result<std::unique_ptr<File>>(Internal("SQLite wants a temporary file"))
                                  : OpenOnDisk(self, path, flags);
    if (!opened.has_value()) {
      std::destroy_at(&handle);
      file->pMethods = nullptr;  // or SQLite would close it
      return Fail(self, opened.error(), SQLITE_CANTOPEN);
    }
    handle.base.pMethods = &kMethods;
    handle.file = *std::move(opened);
    handle.path = path;
    handle.is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    handle.self = &self;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static Result<std::unique_ptr<File>> OpenOnDisk(SqliteVfs& self, const char* path, int flags) {
    OpenOptions options{.mode = OpenMode::kReadWrite, .secret = true};  // the sites' tokens are in it
    if ((flags & SQLITE_OPEN_READONLY) != 0) options.mode = OpenMode::kRead;
    if ((flags & SQLITE_OPEN_CREATE) != 0) options.mode = OpenMode::kCreate;
    return self.disk_.Open(path, options);
  }

  static int Delete(sqlite3_vfs* vfs, const char* path, int sync_folder) noexcept {
    SqliteVfs& self = Self(vfs);
    if (const Status removed = self.disk_.Remove(path); !removed.has_value()) {
      if (removed.error().kind() == ErrorKind::kNotFound) return SQLITE_IOERR_DELETE_NOENT;
      return Fail(self, removed.error(), SQLITE_IOERR_DELETE);
    }
    if (sync_folder == 0) return SQLITE_OK;
    if (const Status synced = self.disk_.SyncFolder(FolderOf(path)); !synced.has_value()) {
      return Fail(self, synced.error(), SQLITE_IOERR_DIR_FSYNC);
    }
    return SQLITE_OK;
  }

  static int Access(sqlite3_vfs* vfs, const char* path, int, int* found) noexcept {
    SqliteVfs& self = Self(vfs);
    const auto exists = self.disk_.Exists(path);
    if (!exists.has_value()) return Fail(self, exists.error(), SQLITE_IOERR_ACCESS);
    *found = *exists ? 1 : 0;
    return SQLITE_OK;
  }

  static int FullPath(sqlite3_vfs*, const char* path, int size, char* full) noexcept {
    if (std::strlen(path) >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
    std::strcpy(full, path);
    return SQLITE_OK;
  }

  static int Randomness(sqlite3_vfs*, int size, char* bytes) noexcept {
    std::memset(bytes, 0, static_cast<std::size_t>(size));
    return size;
  }
  static int Sleep(sqlite3_vfs*, int microseconds) noexcept { return microseconds; }
  static int CurrentTime(sqlite3_vfs*, double* now) noexcept {
    *now = kJulianDayOf1970;
    return SQLITE_OK;
  }
  static int LastError(sqlite3_vfs*, int, char*) noexcept { return 0; }

  // Version 1: no shared memory, which an exclusively locked database does not need, and no memory map.
  static constexpr sqlite3_io_methods kMethods = {
      .iVersion = 1,
      .xClose = Close,
      .xRead = Read,
      .xWrite = Write,
      .xTruncate = Truncate,
      .xSync = Sync,
      .xFileSize = FileSize,
      .xLock = Lock,
      .xUnlock = Lock,
      .xCheckReservedLock = IsReserved,
      .xFileControl = FileControl,
      .xSectorSize = SectorSize,
      .xDeviceCharacteristics = Characteristics,
      .xShmMap = nullptr,
      .xShmLock = nullptr,
      .xShmBarrier = nullptr,
      .xShmUnmap = nullptr,
      .xFetch = nullptr,
      .xUnfetch = nullptr,
  };
};

SqliteVfs::SqliteVfs(Disk& disk) : disk_(disk), name_(fmt::format("fed_learn-{}", static_cast<void*>(this))) {
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.mxPathname = kPathBytesMax;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Calls::Open;
  vfs_.xDelete = Calls::Delete;
  vfs_.xAccess = Calls::Access;
  vfs_.xFullPathname = Calls::FullPath;
  vfs_.xRandomness = Calls::Randomness;
  vfs_.xSleep = Calls::Sleep;
  vfs_.xCurrentTime = Calls::CurrentTime;
  vfs_.xGetLastError = Calls::LastError;
}

Result<std::unique_ptr<SqliteVfs>> SqliteVfs::Register(Disk& disk) {
  std::unique_ptr<SqliteVfs> vfs(new SqliteVfs(disk));
  if (sqlite3_vfs_register(&vfs->vfs_, 0) != SQLITE_OK) return Internal("SQLite does not take another file system");
  return vfs;
}

SqliteVfs::~SqliteVfs() { sqlite3_vfs_unregister(&vfs_); }

std::optional<Error> SqliteVfs::TakeError() { return std::exchange(error_, std::nullopt); }

}  // namespace fed_learn
