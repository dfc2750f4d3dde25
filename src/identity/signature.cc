#include "identity/signature.h"

#include <openssl/err.h>

#include "identity/openssl.h"

namespace fed_learn {
namespace {

const unsigned char* Unsigned(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

Result<std::string> Sign(const PrivateKey& key, std::string_view bytes) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  std::size_t size = 0;
  EVP_PKEY* native = key.native();
  if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, DigestFor(native), nullptr, native) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, Unsigned(bytes), bytes.size()) != 1) {
    return OpensslError("signing");
  }
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  if (EVP_DigestSign(context.get(), out, &size, Unsigned(bytes), bytes.size()) != 1) return OpensslError("signing");
  signature.resize(size);  // ECDSA's can be shorter than announced
  return signature;
}

Status VerifySignature(const PublicKey& key, std::string_view bytes, std::string_view signature) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY* native = key.native();
  if (context == nullptr || EVP_DigestVerifyInit(context.get(), nullptr, DigestFor(native), nullptr, native) != 1) {
    return OpensslError("preparing to verify a signature");
  }
  const bool valid =
      EVP_DigestVerify(context.get(), Unsigned(signature), signature.size(), Unsigned(bytes), bytes.size()) == 1;
  ERR_clear_error();
  if (!valid) return DataLoss("the signature does not match");
  return {};
}

}  // namespace fed_learn
