// What this room's files share of OpenSSL: owners for its objects, and its errors as text. Included by .cc files only.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/result.h"

namespace fed_learn {

template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using RevocationListPtr = std::unique_ptr<X509_CRL, OpensslFree<X509_CRL_free>>;
using NamePtr = std::unique_ptr<X509_NAME, OpensslFree<X509_NAME_free>>;
using IntegerPtr = std::unique_ptr<ASN1_INTEGER, OpensslFree<ASN1_INTEGER_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, OpensslFree<ASN1_TIME_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;

// An Internal error: "<what> failed: <OpenSSL's last reason>". Empties OpenSSL's queue of this thread.
Error OpensslError(std::string_view what);

// A BIO that reads `text`, which outlives it. Null if there is no memory.
BioPtr ReadingBio(std::string_view text);

// What was written to a memory BIO.
std::string Written(BIO* bio);

// The digest for signing with `key`: none for Ed25519, which hashes by itself.
const EVP_MD* DigestFor(const EVP_PKEY* key);

inline std::time_t ToUnixSeconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}
inline WallTime FromUnixSeconds(std::time_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

// O=project, OU=unit, CN=name; empty parts are left out.
Result<NamePtr> MakeX509Name(std::string_view project, std::string_view unit, std::string_view name);

// The one entry of that kind as UTF-8; empty if there is none or more than one.
std::string EntryOf(const X509_NAME* name, int nid);

}  // namespace fed_learn
