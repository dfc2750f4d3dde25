#include "transport/local/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

Error OutOfMemory(std::uint64_t size, int error_number) {
  return ResourceExhausted("shared memory of " + HumanBytes(size) + " could not be had (" +
                           std::generic_category().message(error_number) + "); free memory or train a smaller model");
}

}  // namespace

MappedMemory::~MappedMemory() {
  if (bytes_ != nullptr) ::munmap(const_cast<std::byte*>(bytes_), size_);
}

Result<SharedMemory> SharedMemory::Adopt(FileDescriptor memory, std::uint64_t size_max) {
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0) return InvalidArgument("the attached descriptor is not a memfd");
  if ((seals & kSeals) != kSeals) {
    return InvalidArgument("the attached memory is not sealed; add F_SEAL_WRITE, F_SEAL_SHRINK and F_SEAL_GROW first");
  }
  struct stat facts {};
  if (::fstat(memory.get(), &facts) != 0) return SystemError("fstat of the attached memory", errno);
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size > size_max) {
    return InvalidArgument("the attached memory has " + HumanBytes(size) + "; at most " + HumanBytes(size_max) +
                           " are taken here");
  }
  return SharedMemory(std::move(memory), size);
}

Result<std::shared_ptr<const MappedMemory>> SharedMemory::Map() const {
  if (size_ == 0) return std::make_shared<const MappedMemory>(nullptr, 0);
  // Private, since kernels before 6.7 refuse a shared mapping of what is sealed against writing; nothing is copied
  // as long as nobody writes, and nobody can.
  void* bytes = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, memory_.get(), 0);
  if (bytes == MAP_FAILED) return OutOfMemory(size_, errno);
  return std::make_shared<const MappedMemory>(static_cast<const std::byte*>(bytes), size_);
}

Result<SharedMemoryWriter> SharedMemoryWriter::Create(std::uint64_t size) {
  if (size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) return OutOfMemory(size, EFBIG);
  FileDescriptor memory(::memfd_create("fed_learn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.is_open()) return OutOfMemory(size, errno);
  if (::ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return OutOfMemory(size, errno);
  return SharedMemoryWriter(std::move(memory), size);
}

Status SharedMemoryWriter::WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(memory_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return OutOfMemory(size_, written < 0 ? errno : ENOSPC);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<SharedMemory> SharedMemoryWriter::Finish() && {
  if (::fcntl(memory_.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0)
    return SystemError("sealing shared memory", errno);
  return SharedMemory::Adopt(std::move(memory_), size_);
}

}  // namespace fed_learn
