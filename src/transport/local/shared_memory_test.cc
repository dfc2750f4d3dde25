#include "transport/local/shared_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>

#include "base/hash.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

SharedMemory Shared(std::string_view text) {
  SharedMemoryWriter writer = *SharedMemoryWriter::Create(text.size());
  EXPECT_TRUE(writer.WriteAt(0, AsBytes(text)).has_value());
  return *std::move(writer).Finish();
}

FileDescriptor Memory(int seals, off_t size = 4096) {
  FileDescriptor memory(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(memory.get(), size), 0);
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
  return memory;
}

TEST(SharedMemoryTest, WhatWasWrittenIsMapped) {
  for (const std::size_t size : {0, 1, 4096, 100000}) {
    const std::string text(size, 'x');
    const SharedMemory memory = Shared(text);
    EXPECT_EQ(memory.size(), size);
    const auto mapped = memory.Map();
    ASSERT_TRUE(mapped.has_value());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>((*mapped)->bytes().data()), (*mapped)->bytes().size()), text);
  }
}

TEST(SharedMemoryTest, MappingOutlivesTheMemory) {
  std::shared_ptr<const MappedMemory> mapped;
  { mapped = *Shared("still here").Map(); }
  EXPECT_EQ(static_cast<char>(mapped->bytes()[0]), 's');
}

TEST(SharedMemoryTest, WriterCannotChangeItOnceFinished) {
  const SharedMemory memory = Shared("final");
  EXPECT_EQ(::pwrite(memory.fd(), "x", 1, 0), -1);
  EXPECT_EQ(::ftruncate(memory.fd(), 0), -1);
  EXPECT_EQ(::mmap(nullptr, 5, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd(), 0), MAP_FAILED);
}

TEST(SharedMemoryTest, UnsealedMemoryIsRefused) {
  for (const int seals : {0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_GROW}) {
    const auto adopted = SharedMemory::Adopt(Memory(seals), 1 << 20);
    ASSERT_FALSE(adopted.has_value());
    EXPECT_THAT(adopted.error().message(), HasSubstr("not sealed"));
  }
}

TEST(SharedMemoryTest, MemoryOverTheLimitIsRefused) {
  const auto adopted = SharedMemory::Adopt(Memory(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, 1 << 20), 4096);
  ASSERT_FALSE(adopted.has_value());
  EXPECT_THAT(adopted.error().message(), HasSubstr("at most"));
}

TEST(SharedMemoryTest, OrdinaryFileIsRefused) {
  const auto adopted = SharedMemory::Adopt(FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)), 4096);
  ASSERT_FALSE(adopted.has_value());
  EXPECT_THAT(adopted.error().message(), HasSubstr("not a memfd"));
}

}  // namespace
}  // namespace fed_learn
