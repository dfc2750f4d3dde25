#include "identity/certificate.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/text.h"
#include "identity/name.h"
#include "identity/openssl.h"

namespace fed_learn {
namespace {

constexpr int kSerialBits = 127;  // positive in 16 bytes; X.509 allows up to 20
constexpr std::chrono::hours kBackdating{24};
constexpr std::array<std::pair<PartyRole, std::string_view>, 4> kRoleNames = {{{PartyRole::kRoot, "root"},
                                                                               {PartyRole::kServer, "server"},
                                                                               {PartyRole::kSite, "site"},
                                                                               {PartyRole::kAdmin, "admin"}}};

Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return OpensslError(fmt::format("adding {} to a certificate", OBJ_nid2sn(nid)));
  }
  return {};
}

Status SetSerial(X509* certificate) {
  const std::unique_ptr<BIGNUM, OpensslFree<BN_free>> number(BN_new());
  if (number == nullptr || BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return OpensslError("drawing a serial number");
  }
  return {};
}

// Everything but the extensions and the signature.
Result<CertificatePtr> MakeBare(const Subject& subject, EVP_PKEY* key, const X509_NAME* issuer, WallTime now,
                                std::time_t not_after) {
  CertificatePtr certificate(X509_new());
  if (certificate == nullptr) return OpensslError("making a certificate");
  RETURN_IF_ERROR(SetSerial(certificate.get()));
  ASSIGN_OR_RETURN(const NamePtr name, MakeX509Name(subject.project, ToString(subject.role), subject.name));
  const bool done =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      X509_set_subject_name(certificate.get(), name.get()) == 1 &&
      X509_set_issuer_name(certificate.get(), issuer == nullptr ? name.get() : issuer) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), ToUnixSeconds(now - kBackdating)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), not_after) != nullptr;
  if (!done) return OpensslError("filling in a certificate");
  return certificate;
}

Result<Certificate> Sign(CertificatePtr certificate, EVP_PKEY* key) {
  if (X509_sign(certificate.get(), key, DigestFor(key)) == 0) return OpensslError("signing a certificate");
  return Certificate::From(std::shared_ptr<X509>(std::move(certificate)), "the new certificate");
}

std::string AltNames(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", IsIpAddress(host) ? "IP" : "DNS", host);
  }
  return text;
}

Result<WallTime> ToWallTime(const ASN1_TIME* time, std::string_view source) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return InvalidArgument(fmt::format("{}: the certificate has a date that cannot be read", source));
  }
  return FromUnixSeconds(timegm(&parts));
}

std::string SerialOf(const X509* certificate) {
  const std::unique_ptr<BIGNUM, OpensslFree<BN_free>> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* hex = number == nullptr ? nullptr : BN_bn2hex(number.get());
  std::string text = hex == nullptr ? "" : hex;
  OPENSSL_free(hex);
  return text;
}

Result<Subject> SubjectOf(const X509* certificate, std::string_view source) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  auto role = PartyRoleFromString(EntryOf(name, NID_organizationalUnitName));
  Subject subject{.project = EntryOf(name, NID_organizationName), .name = EntryOf(name, NID_commonName)};
  if (!role.has_value() || !CheckName(subject.project).has_value() || !CheckName(subject.name).has_value()) {
    return InvalidArgument(fmt::format(
        "{}: not a certificate of fedlearn provision: its subject is not O=<project>, OU=root, server, site "
        "or admin, CN=<name>",
        source));
  }
  subject.role = *role;
  return subject;
}

}  // namespace

std::string_view ToString(PartyRole role) {
  return std::find_if(kRoleNames.begin(), kRoleNames.end(), [&](const auto& entry) { return entry.first == role; })
      ->second;
}

Result<PartyRole> PartyRoleFromString(std::string_view text) {
  for (const auto& [role, name] : kRoleNames) {
    if (name == text) return role;
  }
  return InvalidArgument(fmt::format("'{}' is not a role; it is root, server, site or admin", Escaped(text)));
}

std::string Describe(const Subject& subject) {
  return fmt::format("{} '{}' of project '{}'", ToString(subject.role), subject.name, subject.project);
}

Result<Certificate> Certificate::FromPem(std::string_view pem, std::string_view source) {
  const BioPtr bio = ReadingBio(pem);
  X509* read = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  if (read == nullptr) {
    ERR_clear_error();
    return InvalidArgument(fmt::format("{}: not a certificate in PEM; restore it from the kit", source));
  }
  return From(std::shared_ptr<X509>(read, X509_free), source);
}

Result<Certificate> Certificate::From(std::shared_ptr<x509_st> native, std::string_view source) {
  EVP_PKEY* key = X509_get_pubkey(native.get());
  if (key == nullptr) return OpensslError("reading a certificate's key").In(source);
  ASSIGN_OR_RETURN(PublicKey public_key, PublicKey::From(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free), source));
  Certificate certificate(std::move(native), std::move(public_key));
  ASSIGN_OR_RETURN(certificate.subject_, SubjectOf(certificate.native(), source));
  ASSIGN_OR_RETURN(certificate.not_before_, ToWallTime(X509_get0_notBefore(certificate.native()), source));
  ASSIGN_OR_RETURN(certificate.not_after_, ToWallTime(X509_get0_notAfter(certificate.native()), source));
  certificate.serial_ = SerialOf(certificate.native());
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate.native()) != 1) {
    return OpensslError("writing a certificate as PEM").In(source);
  }
  certificate.pem_ = Written(bio.get());
  return certificate;
}

std::string Certificate::Fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(native(), EVP_sha256(), digest.data(), &size);
  return ToHex(std::span(digest).first(size));
}

Result<Authority> MakeAuthority(const AuthorityOptions& options) {
  const Subject subject{.project = options.project, .role = PartyRole::kRoot, .name = "root"};
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(options.key_type));
  const std::time_t not_after = ToUnixSeconds(options.now + std::chrono::hours(24) * options.days);
  ASSIGN_OR_RETURN(CertificatePtr bare, MakeBare(subject, key.native(), nullptr, options.now, not_after));
  X509* root = bare.get();
  RETURN_IF_ERROR(AddExtension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RETURN_IF_ERROR(AddExtension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature"));
  RETURN_IF_ERROR(AddExtension(root, root, NID_subject_key_identifier, "hash"));
  ASSIGN_OR_RETURN(Certificate certificate, Sign(std::move(bare), key.native()));
  return Authority{std::move(key), std::move(certificate)};
}

Result<Certificate> IssueCertificate(const Authority& authority, const PublicKey& key, const IssueOptions& options) {
  X509* issuer = authority.certificate.native();
  const std::time_t not_after = std::min(ToUnixSeconds(options.now + std::chrono::hours(24) * options.days),
                                         ToUnixSeconds(authority.certificate.not_after()));
  ASSIGN_OR_RETURN(CertificatePtr bare,
                   MakeBare(options.subject, key.native(), X509_get_subject_name(issuer), options.now, not_after));
  X509* leaf = bare.get();
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_key_usage, "critical,digitalSignature"));
  const char* usage = options.subject.role == PartyRole::kServer ? "serverAuth" : "clientAuth";
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_ext_key_usage, usage));
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_authority_key_identifier, "keyid:always"));
  if (!options.hosts.empty()) {
    RETURN_IF_ERROR(AddExtension(leaf, issuer, NID_subject_alt_name, AltNames(options.hosts)));
  }
  return Sign(std::move(bare), authority.key.native());
}

std::string ToUtcText(WallTime time) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(ToUnixSeconds(time))); }

}  // namespace fed_learn
