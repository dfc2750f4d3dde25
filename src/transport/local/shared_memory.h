// SharedMemory: bytes that two processes on one machine see without a copy: a memfd that is sealed, so that neither its
// size nor its contents can change any more. Whoever receives one may trust what it has checked.
//
// Values; a SharedMemory is used from one thread at a time, a mapping from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "transport/local/file_descriptor.h"

namespace fed_learn {

// Read-only pages of a SharedMemory, which stay valid after it is gone.
class MappedMemory {
 public:
  MappedMemory(const std::byte* bytes, std::size_t size) : bytes_(bytes), size_(size) {}
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  ~MappedMemory();

  std::span<const std::byte> bytes() const { return {bytes_, size_}; }

 private:
  const std::byte* bytes_;  // null if there are none
  std::size_t size_;
};

class SharedMemory {
 public:
  // Takes a descriptor that came from a peer, of whom nothing is believed. InvalidArgument if it is not a memfd sealed
  // against writing, shrinking and growing, or has more than `size_max` bytes.
  static Result<SharedMemory> Adopt(FileDescriptor memory, std::uint64_t size_max);

  std::uint64_t size() const { return size_; }
  int fd() const { return memory_.get(); }

  // The bytes, mapped and not copied. The pages are read when they are touched.
  Result<std::shared_ptr<const MappedMemory>> Map() const;

 private:
  SharedMemory(FileDescriptor memory, std::uint64_t size) : memory_(std::move(memory)), size_(size) {}

  FileDescriptor memory_;
  std::uint64_t size_ = 0;
};

// Fills a memory that is to be shared; bytes that are not written are zero.
class SharedMemoryWriter {
 public:
  // ResourceExhausted if the machine does not give that much.
  static Result<SharedMemoryWriter> Create(std::uint64_t size);

  // REQUIRES: inside the size. ResourceExhausted if the machine is out of memory.
  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes);

  // Seals it.
  Result<SharedMemory> Finish() &&;

 private:
  SharedMemoryWriter(FileDescriptor memory, std::uint64_t size) : memory_(std::move(memory)), size_(size) {}

  FileDescriptor memory_;
  std::uint64_t size_ = 0;
};

}  // namespace fed_learn
