// Detached signatures: ECDSA with SHA-256 for P-256 keys, Ed25519 for Ed25519 keys; both as `openssl pkeyutl` and
// `openssl dgst` write and verify them. Safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/key.h"

namespace fed_learn {

// The raw bytes of the signature. What is signed must say what it is: the same key signs certificates (which begin with
// a DER tag), so a manifest begins with '{'.
Result<std::string> Sign(const PrivateKey& key, std::string_view bytes);

// DataLoss unless `signature` is the key's over `bytes`. The caller names the file.
Status VerifySignature(const PublicKey& key, std::string_view bytes, std::string_view signature);

}  // namespace fed_learn
