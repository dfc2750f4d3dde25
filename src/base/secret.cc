#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "base/hash.h"

namespace fed_learn {

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string RandomToken() {
  std::array<std::uint8_t, 16> bytes{};
  // Without randomness there is no secure way to go on.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  return ToHex(bytes);
}

}  // namespace fed_learn
