#include "base/hash.h"

#include <openssl/evp.h>

#include <cstdlib>

#define XXH_STATIC_LINKING_ONLY  // the state's definition, so that it lives in State
#include <xxhash.h>

namespace fed_learn {
namespace {

ContentHash Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  ContentHash result;
  static_assert(sizeof(canonical.digest) == sizeof(result.bytes));
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), result.bytes.begin());
  return result;
}

// SHA-256 is in every OpenSSL and fails only on misuse or without memory; no caller could go on.
void Require(int openssl_result) {
  if (openssl_result != 1) std::abort();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

ContentHash HashContent(std::span<const std::byte> bytes) {
  return Canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

struct ContentHasher::State {
  XXH3_state_t xxh3;
};

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;

void ContentHasher::Update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

ContentHash ContentHasher::Finish() const { return Canonical(XXH3_128bits_digest(&state_->xxh3)); }

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  Require(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::span<const std::byte> bytes) {
  Require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
}

void Sha256::Update(std::string_view text) { Update(AsBytes(text)); }

std::array<std::uint8_t, 32> Sha256::Finish() {
  std::array<std::uint8_t, 32> digest{};
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size));
  return digest;
}

std::string ToHex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 0xFu];
  }
  return hex;
}

Result<ContentHash> ContentHashFromHex(std::string_view hex) {
  ContentHash hash;
  if (hex.size() != 2 * hash.bytes.size()) {
    return InvalidArgument("a content hash has 32 hexadecimal digits, not " + std::to_string(hex.size()));
  }
  for (std::size_t i = 0; i < hash.bytes.size(); ++i) {
    const int high = HexDigit(hex[2 * i]);
    const int low = HexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) {
      return InvalidArgument("a content hash has the digits 0-9 and a-f only; digit " +
                             std::to_string(2 * i + (high < 0 ? 1 : 2)) + " is none of them");
    }
    hash.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return hash;
}

}  // namespace fed_learn
