#include "base/hash.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/crc32c.h"
#include "base/random.h"

namespace fed_learn {
namespace {

std::vector<std::byte> SomeBytes(std::size_t size) {
  Random random(size);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Below(256));
  return bytes;
}

std::string Hex(const ContentHash& hash) { return ToHex(hash.bytes); }

TEST(ContentHashTest, GivesWhatTheXxhsumProgramPrints) {
  EXPECT_EQ(Hex(HashContent({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(Hex(HashContent(AsBytes("a"))), "a96faf705af16834e6c632b61e964e1f");
}

TEST(ContentHashTest, PiecesHashLikeTheWhole) {
  for (const std::size_t size : {0, 1, 240, 241, 1000, 100'003}) {
    const std::vector<std::byte> bytes = SomeBytes(size);
    ContentHasher hasher;
    for (std::size_t at = 0; at < size; at += 77) {
      hasher.Update(std::span(bytes).subspan(at, std::min<std::size_t>(77, size - at)));
    }
    hasher.Update({});
    EXPECT_EQ(hasher.Finish(), HashContent(bytes)) << size;
  }
}

TEST(ContentHashTest, HexComesBack) {
  const ContentHash hash = HashContent(AsBytes("some bytes"));
  EXPECT_EQ(ContentHashFromHex(Hex(hash)).value(), hash);
}

TEST(ContentHashTest, HexThatIsNotOneIsRefused) {
  EXPECT_EQ(ContentHashFromHex("").error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(ContentHashFromHex(std::string(31, 'a')).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(ContentHashFromHex(std::string(31, 'a') + "G").error().message(),
            "a content hash has the digits 0-9 and a-f only; digit 32 is none of them");
  EXPECT_FALSE(ContentHashFromHex(std::string(32, 'A')).has_value());
}

TEST(Sha256Test, GivesTheStandardsExamples) {
  EXPECT_EQ(ToHex(Sha256().Finish()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  hash.Update("a");
  hash.Update(AsBytes("bc"));
  EXPECT_EQ(ToHex(hash.Finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crc32cTest, GivesTheExamplesOfRfc3720) {
  EXPECT_EQ(Crc32c({}), 0u);
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32)), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43u);
}

TEST(Crc32cTest, TheTableAndTheInstructionAgree) {
  for (const std::size_t size : {0, 1, 7, 8, 9, 63, 1000, 65'537}) {
    const std::vector<std::byte> bytes = SomeBytes(size);
    EXPECT_EQ(Crc32cByTable(bytes, 17), Crc32c(bytes, 17)) << size;
  }
}

TEST(Crc32cTest, GoesOnFromWhereItStopped) {
  const std::vector<std::byte> bytes = SomeBytes(1001);
  const std::span<const std::byte> all(bytes);
  EXPECT_EQ(Crc32c(all.subspan(333), Crc32c(all.first(333))), Crc32c(all));
}

}  // namespace
}  // namespace fed_learn
