#include "identity/revocation.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "identity/openssl.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kListBytesMax = 16 << 20;

Result<TimePtr> MakeTime(std::time_t seconds) {
  TimePtr time(ASN1_TIME_set(nullptr, seconds));
  if (time == nullptr) return OpensslError("making a date");
  return time;
}

Status AddRevocation(X509_CRL* list, const Revocation& revocation) {
  BIGNUM* number = nullptr;
  BN_hex2bn(&number, revocation.serial.c_str());
  const std::unique_ptr<BIGNUM, OpensslFree<BN_free>> owner(number);
  const IntegerPtr serial(number == nullptr ? nullptr : BN_to_ASN1_INTEGER(number, nullptr));
  ASSIGN_OR_RETURN(const TimePtr when, MakeTime(ToUnixSeconds(revocation.when)));
  std::unique_ptr<X509_REVOKED, OpensslFree<X509_REVOKED_free>> entry(X509_REVOKED_new());
  const bool done =
      serial != nullptr && entry != nullptr && X509_REVOKED_set_serialNumber(entry.get(), serial.get()) == 1 &&
      X509_REVOKED_set_revocationDate(entry.get(), when.get()) == 1 && X509_CRL_add0_revoked(list, entry.get()) == 1;
  if (!done) return OpensslError(fmt::format("revoking the serial number {}", revocation.serial));
  entry.release();  // the list's now
  return {};
}

Status AddNumber(X509_CRL* list, std::int64_t number) {
  const IntegerPtr value(ASN1_INTEGER_new());
  if (value == nullptr || ASN1_INTEGER_set_int64(value.get(), number) != 1 ||
      X509_CRL_add1_ext_i2d(list, NID_crl_number, value.get(), 0, 0) != 1) {
    return OpensslError("numbering a revocation list");
  }
  return {};
}

}  // namespace

Result<RevocationList> RevocationList::Make(const Authority& authority, std::span<const Revocation> revocations,
                                            WallTime now, std::int64_t number) {
  const RevocationListPtr list(X509_CRL_new());
  ASSIGN_OR_RETURN(const TimePtr from, MakeTime(ToUnixSeconds(now)));
  ASSIGN_OR_RETURN(const TimePtr until, MakeTime(ToUnixSeconds(authority.certificate.not_after())));
  const X509_NAME* issuer = X509_get_subject_name(authority.certificate.native());
  const bool begun = list != nullptr && X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1 &&
                     X509_CRL_set_issuer_name(list.get(), issuer) == 1 &&
                     X509_CRL_set1_lastUpdate(list.get(), from.get()) == 1 &&
                     X509_CRL_set1_nextUpdate(list.get(), until.get()) == 1;
  if (!begun) return OpensslError("making a revocation list");
  RETURN_IF_ERROR(AddNumber(list.get(), number));
  for (const Revocation& revocation : revocations) RETURN_IF_ERROR(AddRevocation(list.get(), revocation));
  X509_CRL_sort(list.get());
  EVP_PKEY* key = authority.key.native();
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (X509_CRL_sign(list.get(), key, DigestFor(key)) == 0 || bio == nullptr ||
      PEM_write_bio_X509_CRL(bio.get(), list.get()) != 1) {
    return OpensslError("signing a revocation list");
  }
  return FromPem(Written(bio.get()), authority.certificate, "the new revocation list");
}

Result<RevocationList> RevocationList::FromPem(std::string_view pem, const Certificate& root, std::string_view source) {
  const BioPtr bio = ReadingBio(pem);
  X509_CRL* read = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr);
  ERR_clear_error();
  if (read == nullptr) {
    return InvalidArgument(
        fmt::format("{}: not a revocation list in PEM; copy it again from whoever provisions the project", source));
  }
  std::shared_ptr<X509_CRL> list(read, X509_CRL_free);
  if (X509_CRL_verify(read, root.public_key().native()) != 1) {
    ERR_clear_error();
    return Unauthenticated(
        fmt::format("{}: the root of project '{}' has not signed this revocation list; copy it again from whoever "
                    "provisions the project",
                    source, root.subject().project));
  }
  return RevocationList(std::move(list), std::string(pem));
}

Result<RevocationList> RevocationList::Load(Disk& disk, std::string_view path, const Certificate& root) {
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(disk, path, kListBytesMax));
  return FromPem(pem, root, path);
}

bool RevocationList::Contains(const Certificate& certificate) const {
  X509_REVOKED* entry = nullptr;
  return X509_CRL_get0_by_serial(list_.get(), &entry, X509_get_serialNumber(certificate.native())) == 1;
}

}  // namespace fed_learn
