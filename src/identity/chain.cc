#include "identity/chain.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <string>

#include "identity/openssl.h"

namespace fed_learn {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

Error ChainError(int code, const Certificate& failing, WallTime now) {
  const Subject& subject = failing.subject();
  const std::string who = Describe(subject);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      if (subject.role == PartyRole::kRoot) {
        return Unauthenticated(
            fmt::format("the root certificate of project '{}' expired on {} and it is {}; provision "
                        "the project into a new folder and hand out its kits",
                        subject.project, ToUtcText(failing.not_after()), ToUtcText(now)));
      }
      return Unauthenticated(fmt::format(
          "the certificate of {} expired on {} and it is {}; whoever provisions the project makes a new kit "
          "with: fedlearn provision PROJECT.yml --renew {}",
          who, ToUtcText(failing.not_after()), ToUtcText(now), subject.name));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Unauthenticated(
          fmt::format("the certificate of {} is not valid before {} and this machine's clock says {}; "
                      "set the clock",
                      who, ToUtcText(failing.not_before()), ToUtcText(now)));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return Unauthenticated(fmt::format(
          "the certificate of {} is not signed by this project's root (rootCA.pem); use the files of one kit "
          "together",
          who));
    default:
      return Unauthenticated(
          fmt::format("the certificate of {} does not count: {}; ask whoever provisions the project "
                      "for a new kit",
                      who, X509_verify_cert_error_string(code)));
  }
}

// The certificate at which verifying stopped.
Certificate FailingOf(X509_STORE_CTX* context, const Certificate& certificate) {
  X509* current = X509_STORE_CTX_get_current_cert(context);
  if (current == nullptr || X509_up_ref(current) != 1) return certificate;
  auto failing = Certificate::From(std::shared_ptr<X509>(current, X509_free), "rootCA.pem");
  return failing.has_value() ? *failing : certificate;
}

}  // namespace

Status VerifyCertificate(const Certificate& certificate, const Certificate& root, const RevocationList* revocations,
                         WallTime now) {
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (store == nullptr || context == nullptr || X509_STORE_add_cert(store.get(), root.native()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate.native(), nullptr) != 1) {
    return OpensslError("preparing to verify a certificate");
  }
  const PartyRole role = certificate.subject().role;
  if (role == PartyRole::kRoot || certificate.subject().project != root.subject().project) {
    return ChainError(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, certificate, now);
  }
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, ToUnixSeconds(now));
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_purpose(rules, role == PartyRole::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) != 1) {
    const int code = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return ChainError(code, FailingOf(context.get(), certificate), now);
  }
  if (revocations != nullptr && revocations->Contains(certificate)) {
    return Unauthenticated(fmt::format(
        "the certificate of {} is revoked; whoever provisions the project can make a new kit with: fedlearn "
        "provision PROJECT.yml --renew {}",
        Describe(certificate.subject()), certificate.subject().name));
  }
  return {};
}

}  // namespace fed_learn
