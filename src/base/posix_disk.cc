#include "base/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace fed_learn {
namespace {

constexpr mode_t kPublicMode = 0644;
constexpr mode_t kSecretMode = 0600;
constexpr mode_t kExecutableMode = 0755;
constexpr mode_t kOthersMayReadOrWrite = 0066;
constexpr mode_t kFolderMode = 0755;

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Repeats a system call that a signal interrupted.
template <typename Call>
auto Retrying(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

std::string Mend(int error) {
  switch (error) {
    case ENOSPC:
      return "the disk is full; free some space, then try again";
    case EDQUOT:
      return "the disk quota is used up; free some space or ask for more, then try again";
    case EACCES:
    case EPERM:
      return "no permission; give the user of this process access, or choose another place";
    case EROFS:
      return "the file system is read-only; choose another place";
    case EMFILE:
    case ENFILE:
      return "too many open files; raise the limit (ulimit -n)";
    case EIO:
      return "the disk reports an error; look at the kernel's log before trusting it again";
    case ENOENT:
      return "no such file or folder";
    case EEXIST:
      return "it is there already";
    case ENOTDIR:
      return "a part of the path is not a folder";
    case EISDIR:
      return "it is a folder, not a file";
    case ENAMETOOLONG:
      return "the name is too long for the file system";
    case EXDEV:
      return "the two names lie on different file systems; keep them in one";
    default:
      return std::generic_category().message(error);
  }
}

ErrorKind KindOf(int error) {
  switch (error) {
    case ENOENT:
      return ErrorKind::kNotFound;
    case EEXIST:
      return ErrorKind::kAlreadyExists;
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
      return ErrorKind::kInvalidArgument;
    default:
      return ErrorKind::kInternal;
  }
}

// "cannot write /a/b: the disk is full; …", from errno.
Error ErrnoError(std::string_view verb, std::string_view path) {
  const int error = errno;
  return Error(KindOf(error), fmt::format("cannot {} {}: {}", verb, path, Mend(error)));
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path) : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Status ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const ssize_t got =
          Retrying([&] { return ::pread(descriptor_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
      if (got < 0) return ErrnoError("read", path_);
      if (got == 0) {
        return DataLoss(fmt::format("cannot read {}: it ends at byte {}, {} bytes too early; it was cut short", path_,
                                    offset, out.size()));
      }
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
    return {};
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          Retrying([&] { return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (put < 0) return ErrnoError("write", path_);
      offset += static_cast<std::uint64_t>(put);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }

  Result<std::uint64_t> Size() override {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) return ErrnoError("look at", path_);
    if (S_ISDIR(status.st_mode)) return InvalidArgument(fmt::format("cannot read {}: {}", path_, Mend(EISDIR)));
    return static_cast<std::uint64_t>(status.st_size);
  }

  Status Truncate(std::uint64_t size) override {
    if (Retrying([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0) {
      return ErrnoError("resize", path_);
    }
    return {};
  }

  Status Sync() override {
    if (Retrying([&] { return ::fsync(descriptor_.get()); }) != 0) return ErrnoError("sync", path_);
    return {};
  }

 private:
  Descriptor descriptor_;
  std::string path_;
};

Status CheckIsSecret(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return ErrnoError("look at", path);
  if ((status.st_mode & kOthersMayReadOrWrite) == 0) return {};
  return PermissionDenied(
      fmt::format("{} is a secret, and others can read or write it (mode {:04o}); mend it with: chmod 600 {}", path,
                  status.st_mode & 07777, path));
}

Status SyncFolderAt(const std::string& path) {
  const Descriptor folder(Retrying([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (folder.get() < 0) return ErrnoError("open the folder", path);
  // EINVAL: the file system has no way to sync a folder, and so no gap between a name and its folder.
  if (Retrying([&] { return ::fsync(folder.get()); }) != 0 && errno != EINVAL) {
    return ErrnoError("sync the folder", path);
  }
  return {};
}

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateExclusive:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

// "process 4711", as Lock wrote it into the lock file.
std::string OwnerOf(int lock_fd) {
  std::string text(16, '\0');
  const ssize_t got = ::pread(lock_fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  text.resize(std::min(text.size(), text.find_first_not_of("0123456789")));
  return text.empty() ? "another process" : "process " + text;
}

Status WriteOwner(int lock_fd, const std::string& path) {
  const std::string owner = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock_fd, 0) != 0 || ::pwrite(lock_fd, owner.data(), owner.size(), 0) < 0) {
    return ErrnoError("write", path);
  }
  return {};
}

}  // namespace

PosixDisk::PosixDisk(std::string root) : root_(root.empty() ? "." : std::move(root)) {}

Result<std::string> PosixDisk::FullPath(std::string_view path) const {
  if (path.empty()) return InvalidArgument("an empty path names no file");
  if (path.find('\0') != std::string_view::npos) {
    return InvalidArgument(fmt::format("the path {} has a zero byte after it; no file name does", path.data()));
  }
  if (path.front() == '/') return std::string(path);
  if (path == ".") return root_;
  return fmt::format("{}/{}", root_, path);
}

Result<std::unique_ptr<File>> PosixDisk::Open(std::string_view path, OpenOptions options) {
  ASSIGN_OR_RETURN(std::string full, FullPath(path));
  const mode_t permissions = options.secret ? kSecretMode : options.executable ? kExecutableMode : kPublicMode;
  const int flags = OpenFlags(options.mode) | O_CLOEXEC | O_NOCTTY;
  Descriptor descriptor(Retrying([&] { return ::open(full.c_str(), flags, permissions); }));
  if (descriptor.get() < 0) return ErrnoError(options.mode == OpenMode::kCreateExclusive ? "create" : "open", full);
  if (options.secret) RETURN_IF_ERROR(CheckIsSecret(descriptor.get(), full));
  return std::make_unique<PosixFile>(std::move(descriptor), std::move(full));
}

Result<bool> PosixDisk::Exists(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(path));
  struct stat status {};
  if (::stat(full.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return ErrnoError("look at", full);
}

Status PosixDisk::Rename(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const std::string full_from, FullPath(from));
  ASSIGN_OR_RETURN(const std::string full_to, FullPath(to));
  if (::rename(full_from.c_str(), full_to.c_str()) != 0) {
    return ErrnoError("rename", fmt::format("{} to {}", full_from, full_to));
  }
  return {};
}

Status PosixDisk::Remove(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(path));
  if (::unlink(full.c_str()) != 0) return ErrnoError("remove", full);
  return {};
}

Status PosixDisk::MakeFolders(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(path));
  for (std::size_t end = full.find('/', 1);; end = full.find('/', end + 1)) {
    const std::string folder = full.substr(0, end);
    if (::mkdir(folder.c_str(), kFolderMode) == 0) {
      const std::size_t slash = folder.find_last_of('/');
      RETURN_IF_ERROR(
          SyncFolderAt(slash == std::string::npos ? "." : folder.substr(0, std::max<std::size_t>(1, slash))));
    } else if (errno != EEXIST) {
      return ErrnoError("make the folder", folder);
    } else if (struct stat status{}; ::stat(folder.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
      return InvalidArgument(fmt::format("cannot make the folder {}: a file of that name is in the way", folder));
    }
    if (end == std::string::npos) return {};
  }
}

Result<std::vector<std::string>> PosixDisk::List(std::string_view folder) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(folder));
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> open(::opendir(full.c_str()));
  if (open == nullptr) return ErrnoError("list the folder", full);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return ErrnoError("list the folder", full);
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixDisk::SyncFolder(std::string_view folder) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(folder));
  return SyncFolderAt(full);
}

Result<std::shared_ptr<void>> PosixDisk::Lock(std::string_view folder) {
  ASSIGN_OR_RETURN(const std::string full, FullPath(folder));
  const std::string path = full + "/.lock";
  auto lock = std::make_shared<Descriptor>(
      Retrying([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, kPublicMode); }));
  if (lock->get() < 0) return ErrnoError("open", path);
  if (Retrying([&] { return ::flock(lock->get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("lock", path);
    return AlreadyExists(fmt::format("the folder {} is in use by {}; stop that first, or choose another folder", full,
                                     OwnerOf(lock->get())));
  }
  RETURN_IF_ERROR(WriteOwner(lock->get(), path));
  return std::shared_ptr<void>(std::move(lock));
}

}  // namespace fed_learn
