// Digests. Safe from any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fed_learn {

// XXH3-128 of some bytes, in canonical (big-endian) order. Says "the same bytes" between parties that do not attack
// each other; where a hash is signed or published, it is Sha256.
struct ContentHash {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const ContentHash&, const ContentHash&) = default;
};

ContentHash HashContent(std::span<const std::byte> bytes);

// Fed piece by piece.
class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;
  void Update(std::span<const std::byte> bytes);
  ContentHash Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text);
  std::array<std::uint8_t, 32> Finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// CRC-32C (Castagnoli) of `bytes`, continuing from `crc`.
std::uint32_t Crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);

std::string ToHex(std::span<const std::uint8_t> bytes);  // lower case
Result<ContentHash> ContentHashFromHex(std::string_view hex);

// The bytes of some text, without a copy.
inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

}  // namespace fed_learn
