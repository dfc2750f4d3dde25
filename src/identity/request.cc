#include "identity/request.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "identity/name.h"
#include "identity/openssl.h"

namespace fed_learn {
namespace {

constexpr std::size_t kOrgBytesMax = 64;  // X.509's limit of an O

}  // namespace

Result<std::string> MakeCertificateRequest(const PrivateKey& key, std::string_view name, std::string_view org) {
  RETURN_IF_ERROR(CheckSiteName(name));
  if (org.size() > kOrgBytesMax || !IsUtf8(org)) {
    return InvalidArgument(fmt::format("the org '{}' is longer than {} bytes or not UTF-8; shorten it",
                                       Escaped(org.substr(0, kOrgBytesMax)), kOrgBytesMax));
  }
  ASSIGN_OR_RETURN(const NamePtr subject, MakeX509Name(org, "", name));
  const RequestPtr request(X509_REQ_new());
  const bool done = request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_subject_name(request.get(), subject.get()) == 1 &&
                    X509_REQ_set_pubkey(request.get(), key.native()) == 1 &&
                    X509_REQ_sign(request.get(), key.native(), DigestFor(key.native())) > 0;
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!done || bio == nullptr || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return OpensslError("making a certificate request");
  }
  return Written(bio.get());
}

Result<CertificateRequest> ParseCertificateRequest(std::string_view pem, std::string_view source) {
  const BioPtr bio = ReadingBio(pem);
  const RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  EVP_PKEY* key = request == nullptr ? nullptr : X509_REQ_get_pubkey(request.get());
  ERR_clear_error();
  if (key == nullptr) {
    return InvalidArgument(
        fmt::format("{}: not a certificate request in PEM; make one with: fedlearn client enroll --name NAME", source));
  }
  ASSIGN_OR_RETURN(PublicKey public_key, PublicKey::From(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free), source));
  if (X509_REQ_verify(request.get(), key) != 1) {
    ERR_clear_error();
    return InvalidArgument(fmt::format(
        "{}: the request is not signed by its own key, so it was changed on its way; have it sent again", source));
  }
  const X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  CertificateRequest result{EntryOf(subject, NID_commonName), EntryOf(subject, NID_organizationName),
                            std::move(public_key)};
  if (auto valid = CheckSiteName(result.name); !valid.has_value()) return valid.error().In(source);
  return result;
}

}  // namespace fed_learn
