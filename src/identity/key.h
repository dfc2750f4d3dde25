// Key pairs: P-256 and Ed25519, nothing else.
//
// Both classes are values that share an immutable OpenSSL object; copying is cheap and safe between threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace fed_learn {

enum class KeyType { kP256, kEd25519 };

// "p256" or "ed25519".
std::string_view ToString(KeyType type);

// The inverse. InvalidArgument, naming both, for anything else.
Result<KeyType> KeyTypeFromString(std::string_view text);

class PublicKey {
 public:
  // Takes a share of `key`. InvalidArgument if it is neither P-256 nor Ed25519; `source` is named in the error.
  static Result<PublicKey> From(std::shared_ptr<evp_pkey_st> key, std::string_view source);

  KeyType type() const { return type_; }

  // SHA-256 of the key's SubjectPublicKeyInfo in hex: what people read to each other over the telephone.
  std::string Fingerprint() const;

  // Never null, valid as long as this object.
  evp_pkey_st* native() const { return key_.get(); }

  friend bool operator==(const PublicKey& a, const PublicKey& b);

 private:
  PublicKey(std::shared_ptr<evp_pkey_st> key, KeyType type) : key_(std::move(key)), type_(type) {}

  std::shared_ptr<evp_pkey_st> key_;
  KeyType type_;
};

// Has no formatter, so it cannot end up in a log.
class PrivateKey {
 public:
  static Result<PrivateKey> Generate(KeyType type);

  // From PEM (PKCS#8 or the older EC form), not encrypted. InvalidArgument naming `source`.
  static Result<PrivateKey> FromPem(std::string_view pem, std::string_view source);

  // From a file that only its owner can read. PermissionDenied, with the chmod that mends it, if others can.
  static Result<PrivateKey> Load(Disk& disk, std::string_view path);

  // Writes a new file of mode 0600. AlreadyExists if there is one: a key is never overwritten.
  Status Save(Disk& disk, std::string_view path) const;

  // PKCS#8. The caller keeps it secret.
  Result<std::string> ToPem() const;

  const PublicKey& public_key() const { return public_key_; }
  evp_pkey_st* native() const { return public_key_.native(); }

 private:
  explicit PrivateKey(PublicKey key) : public_key_(std::move(key)) {}

  PublicKey public_key_;  // OpenSSL keeps both halves in one object
};

}  // namespace fed_learn
