#include "identity/openssl.h"

#include <openssl/err.h>

#include "base/log.h"

namespace fed_learn {

Error OpensslError(std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return Internal(fmt::format("{} failed: {}", what, reason == nullptr ? "no reason given" : reason));
}

BioPtr ReadingBio(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string Written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size <= 0 ? std::string() : std::string(data, static_cast<std::size_t>(size));
}

const EVP_MD* DigestFor(const EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

Result<NamePtr> MakeX509Name(std::string_view project, std::string_view unit, std::string_view name) {
  NamePtr result(X509_NAME_new());
  if (result == nullptr) return OpensslError("making a name");
  const struct {
    int nid;
    std::string_view text;
  } entries[] = {{NID_organizationName, project}, {NID_organizationalUnitName, unit}, {NID_commonName, name}};
  for (const auto& [nid, text] : entries) {
    if (text.empty()) continue;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (X509_NAME_add_entry_by_NID(result.get(), nid, MBSTRING_UTF8, bytes, static_cast<int>(text.size()), -1, 0) !=
        1) {
      return OpensslError(fmt::format("putting '{}' into a certificate's subject", text));
    }
  }
  return result;
}

std::string EntryOf(const X509_NAME* name, int nid) {
  const int at = X509_NAME_get_index_by_NID(name, nid, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) {
    ERR_clear_error();
    return {};
  }
  std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

}  // namespace fed_learn
