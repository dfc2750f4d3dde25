#include "identity/key.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

#include "base/hash.h"
#include "identity/openssl.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kKeyFileBytesMax = 64 << 10;

// Without it OpenSSL would ask for a pass phrase on the terminal.
int NoPassPhrase(char*, int, int, void*) { return -1; }

Result<KeyType> TypeOf(const EVP_PKEY* key, std::string_view source) {
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) return KeyType::kEd25519;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
      std::string_view(group.data()) == "prime256v1") {
    return KeyType::kP256;
  }
  ERR_clear_error();
  return InvalidArgument(fmt::format("{}: the key is neither P-256 nor Ed25519; make one of these", source));
}

}  // namespace

std::string_view ToString(KeyType type) { return type == KeyType::kP256 ? "p256" : "ed25519"; }

Result<KeyType> KeyTypeFromString(std::string_view text) {
  if (text == "p256") return KeyType::kP256;
  if (text == "ed25519") return KeyType::kEd25519;
  return InvalidArgument(fmt::format("'{}' is not a key type; it is p256 or ed25519", text));
}

Result<PublicKey> PublicKey::From(std::shared_ptr<evp_pkey_st> key, std::string_view source) {
  ASSIGN_OR_RETURN(const KeyType type, TypeOf(key.get(), source));
  return PublicKey(std::move(key), type);
}

std::string PublicKey::Fingerprint() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  Sha256 hasher;
  hasher.Update(std::as_bytes(std::span(der, size < 0 ? 0 : static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return ToHex(hasher.Finish());
}

bool operator==(const PublicKey& a, const PublicKey& b) { return EVP_PKEY_eq(a.native(), b.native()) == 1; }

Result<PrivateKey> PrivateKey::Generate(KeyType type) {
  EVP_PKEY* made = type == KeyType::kP256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (made == nullptr) return OpensslError("making a key");
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::From(std::shared_ptr<EVP_PKEY>(made, EVP_PKEY_free), "the new key"));
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::FromPem(std::string_view pem, std::string_view source) {
  const BioPtr bio = ReadingBio(pem);
  EVP_PKEY* read = PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassPhrase, nullptr);
  if (read == nullptr) {
    ERR_clear_error();
    return InvalidArgument(
        fmt::format("{}: not a private key in PEM without a pass phrase; restore it from the kit, or "
                    "ask for a new one",
                    source));
  }
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::From(std::shared_ptr<EVP_PKEY>(read, EVP_PKEY_free), source));
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::Load(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const auto file, disk.Open(path, {.mode = OpenMode::kRead, .secret = true}));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > kKeyFileBytesMax) return InvalidArgument(fmt::format("{}: too large for a private key", path));
  std::string pem(size, '\0');
  RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(pem.data(), pem.size()))));
  auto key = FromPem(pem, path);
  OPENSSL_cleanse(pem.data(), pem.size());
  return key;
}

Status PrivateKey::Save(Disk& disk, std::string_view path) const {
  ASSIGN_OR_RETURN(std::string pem, ToPem());
  ASSIGN_OR_RETURN(const auto file, disk.Open(path, {.mode = OpenMode::kCreateExclusive, .secret = true}));
  const Status written = file->WriteAt(0, AsBytes(pem));
  OPENSSL_cleanse(pem.data(), pem.size());
  RETURN_IF_ERROR(written);
  RETURN_IF_ERROR(file->Sync());
  const std::size_t slash = path.rfind('/');
  return disk.SyncFolder(slash == std::string_view::npos ? "." : path.substr(0, slash));
}

Result<std::string> PrivateKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), native(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpensslError("writing a key as PEM");
  }
  return Written(bio.get());
}

}  // namespace fed_learn
