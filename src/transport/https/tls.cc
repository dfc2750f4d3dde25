#include "transport/https/tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cstdio>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freer<X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

constexpr std::string_view kPemBegin = "-----BEGIN";

// Records are decrypted from a buffer that one recv fills with up to so many bytes.
constexpr std::size_t kReadBufferBytes = 128 << 10;

// "file 'x.pem'" or, for a text, "the CA certificate".
std::string Where(std::string_view what, const std::string& pem_or_path) {
  if (pem_or_path.starts_with(kPemBegin)) return fmt::format("the {}", what);
  return fmt::format("{} '{}'", what, pem_or_path);
}

Result<BioPtr> OpenPem(std::string_view what, const std::string& pem_or_path) {
  if (pem_or_path.empty()) return InvalidArgument(fmt::format("no {} is given; the startup kit holds it", what));
  ERR_clear_error();
  BioPtr bio(pem_or_path.starts_with(kPemBegin)
                 ? BIO_new_mem_buf(pem_or_path.data(), static_cast<int>(pem_or_path.size()))
                 : BIO_new_file(pem_or_path.c_str(), "r"));
  if (bio == nullptr) {
    return InvalidArgument(
        fmt::format("{} cannot be read; check the path and its permissions", Where(what, pem_or_path)));
  }
  return bio;
}

// No terminal is asked for a pass phrase: a server has none.
int NoPassPhrase(char*, int, int, void*) { return -1; }

std::string Describe(const ASN1_TIME* time) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(bio.get(), time);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

std::string NameField(const X509* certificate, int field) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(name, field, -1);
  if (index < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

Status UseCa(SSL_CTX* context, TlsSide side, const std::string& ca) {
  ASSIGN_OR_RETURN(const BioPtr bio, OpenPem("CA certificate", ca));
  int found = 0;
  while (X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, NoPassPhrase, nullptr)}) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get());
    if (side == TlsSide::kServer) SSL_CTX_add_client_CA(context, certificate.get());
    ++found;
  }
  ERR_clear_error();
  if (found > 0) return {};
  return InvalidArgument(fmt::format("{} holds no PEM certificate", Where("CA certificate", ca)));
}

Status CheckOwnTime(const X509* certificate, const std::string& option) {
  const std::string where = Where("certificate", option);
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    return InvalidArgument(fmt::format("{} expired on {}; ask the project's lead for a new startup kit", where,
                                       Describe(X509_get0_notAfter(certificate))));
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    return InvalidArgument(fmt::format("{} is valid only from {}; check this machine's clock", where,
                                       Describe(X509_get0_notBefore(certificate))));
  }
  return {};
}

Status UseCertificate(SSL_CTX* context, const std::string& option) {
  ASSIGN_OR_RETURN(const BioPtr bio, OpenPem("certificate", option));
  const X509Ptr own(PEM_read_bio_X509(bio.get(), nullptr, NoPassPhrase, nullptr));
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) {
    return InvalidArgument(fmt::format("{} holds no PEM certificate", Where("certificate", option)));
  }
  RETURN_IF_ERROR(CheckOwnTime(own.get(), option));
  while (X509Ptr link{PEM_read_bio_X509(bio.get(), nullptr, NoPassPhrase, nullptr)}) {
    SSL_CTX_add1_chain_cert(context, link.get());
  }
  ERR_clear_error();
  return {};
}

Status UseKey(SSL_CTX* context, const std::string& option) {
  ASSIGN_OR_RETURN(const BioPtr bio, OpenPem("private key", option));
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassPhrase, nullptr));
  if (key == nullptr) {
    return InvalidArgument(
        fmt::format("{} holds no PEM private key without a pass phrase", Where("private key", option)));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return InvalidArgument(fmt::format("{} does not belong to the certificate; take both from one startup kit",
                                       Where("private key", option)));
  }
  return {};
}

Status UseCrl(SSL_CTX* context, const std::string& option) {
  if (option.empty()) return {};
  ASSIGN_OR_RETURN(const BioPtr bio, OpenPem("revocation list", option));
  const CrlPtr crl(PEM_read_bio_X509_CRL(bio.get(), nullptr, NoPassPhrase, nullptr));
  if (crl == nullptr) {
    return InvalidArgument(fmt::format("{} holds no PEM revocation list", Where("revocation list", option)));
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  X509_STORE_add_crl(store, crl.get());
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return {};
}

// Where a connection keeps the certificate that it did not accept, which OpenSSL forgets before it can be named.
int RefusedCertificateIndex() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* certificate, CRYPTO_EX_DATA*, int, long, void*) { X509_free(static_cast<X509*>(certificate)); });
  return index;
}

int KeepIfRefused(int accepted, X509_STORE_CTX* verification) {
  if (accepted == 1) return 1;
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* const certificate = X509_STORE_CTX_get0_cert(verification);
  if (certificate != nullptr && SSL_get_ex_data(ssl, RefusedCertificateIndex()) == nullptr) {
    X509_up_ref(certificate);
    SSL_set_ex_data(ssl, RefusedCertificateIndex(), certificate);
  }
  return 0;
}

void SetPolicy(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  // AES-128 first: a third faster than AES-256, and no weaker than the key exchange before it.
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, KeepIfRefused);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadBufferBytes);
}

TlsFailure Failure(Refusal refusal, std::string message) {
  return {refusal, refusal == Refusal::kNotTls || refusal == Refusal::kTlsVersion
                       ? InvalidArgument(std::move(message))
                       : Unauthenticated(std::move(message))};
}

// We did not accept the peer's certificate.
TlsFailure ExplainVerification(const SSL* ssl, TlsSide side, std::string_view peer) {
  const long code = SSL_get_verify_result(ssl);
  const auto* certificate = static_cast<const X509*>(SSL_get_ex_data(ssl, RefusedCertificateIndex()));
  const std::string name = certificate == nullptr ? "" : Escaped(NameField(certificate, NID_commonName));
  const std::string whose = name.empty() ? "" : fmt::format(" of '{}'", name);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Failure(Refusal::kExpiredCertificate,
                     fmt::format("{}: certificate{} expired{}; it needs a new startup kit", peer, whose,
                                 certificate == nullptr ? "" : " on " + Describe(X509_get0_notAfter(certificate))));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Failure(Refusal::kExpiredCertificate,
                     fmt::format("{}: certificate{} is not valid yet; check the clocks of both machines", peer, whose));
    case X509_V_ERR_CERT_REVOKED:
      return Failure(Refusal::kRevokedCertificate, fmt::format("{}: certificate{} has been revoked", peer, whose));
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return Failure(Refusal::kRevokedCertificate,
                     fmt::format("{}: the revocation list is out of date; publish a new one", peer));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Failure(Refusal::kForeignCertificate,
                     fmt::format("{}: the server's certificate is for '{}', not for the name it was called by; correct "
                                 "the server's address in the startup kit",
                                 peer, name));
    default:
      return Failure(Refusal::kForeignCertificate,
                     fmt::format("{}: {} certificate{} is not of this project ({}); use a startup kit of this project",
                                 peer, side == TlsSide::kServer ? "the client's" : "the server's", whose,
                                 X509_verify_cert_error_string(code)));
  }
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::Create(TlsSide side, const TlsOptions& options) {
  ERR_clear_error();
  ContextPtr context(SSL_CTX_new(side == TlsSide::kServer ? TLS_server_method() : TLS_client_method()));
  if (context == nullptr) return Internal("OpenSSL has no TLS");
  SetPolicy(context.get());
  RETURN_IF_ERROR(UseCa(context.get(), side, options.ca));
  RETURN_IF_ERROR(UseCertificate(context.get(), options.certificate));
  RETURN_IF_ERROR(UseKey(context.get(), options.key));
  RETURN_IF_ERROR(UseCrl(context.get(), options.crl));
  return std::shared_ptr<const TlsContext>(new TlsContext(side, context.release()));
}

TlsFailure ExplainTlsFailure(const ssl_st* ssl, TlsSide side, std::string_view peer) {
  if (!SSL_is_init_finished(ssl) && SSL_get_verify_result(ssl) != X509_V_OK) {
    return ExplainVerification(ssl, side, peer);
  }
  const unsigned long code = ERR_peek_error();
  switch (ERR_GET_REASON(code)) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return Failure(
          Refusal::kNoCertificate,
          fmt::format("{}: no client certificate was shown; pass the startup kit's certificate and key", peer));
    case SSL_R_HTTP_REQUEST:
      return Failure(Refusal::kNotTls, fmt::format("{}: plain HTTP on a TLS port; call it by https://", peer));
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return Failure(Refusal::kTlsVersion, fmt::format("{}: a TLS older than 1.3; update that side", peer));
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return Failure(Refusal::kNotTls, fmt::format("{}: does not speak TLS; check host and port", peer));
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return Failure(
          Refusal::kForeignCertificate,
          fmt::format("{}: the other side takes our certificate for foreign; use a startup kit of its project", peer));
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return Failure(Refusal::kExpiredCertificate,
                     fmt::format("{}: the other side says that our certificate has expired; get a new startup kit, or "
                                 "check both clocks",
                                 peer));
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return Failure(Refusal::kRevokedCertificate,
                     fmt::format("{}: our certificate has been revoked; ask the project's lead", peer));
    default:
      break;
  }
  if (code == 0) return {Refusal::kOther, Unavailable(fmt::format("{}: connection lost", peer))};
  const char* reason = ERR_reason_error_string(code);
  if (SSL_is_init_finished(ssl)) {
    return {Refusal::kOther, Unavailable(fmt::format("{}: TLS failed ({})", peer, reason ? reason : "unknown"))};
  }
  return Failure(Refusal::kNotTls, fmt::format("{}: no TLS handshake ({})", peer, reason ? reason : "unknown"));
}

Result<Peer> PeerOf(const ssl_st* ssl, TlsSide side, std::string_view address) {
  const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
  if (certificate == nullptr) return Unauthenticated(fmt::format("{}: shows no certificate", address));
  Peer peer{.name = NameField(certificate.get(), NID_commonName), .address = std::string(address)};
  const std::string role = NameField(certificate.get(), NID_organizationalUnitName);
  if (peer.name.empty()) return PermissionDenied(fmt::format("{}: certificate without a CN", address));
  if (side == TlsSide::kServer && role == "site") return peer;
  if (side == TlsSide::kServer && role == "admin") {
    peer.role = PeerRole::kAdmin;
    return peer;
  }
  if (side == TlsSide::kClient && role == "server") return peer;
  return PermissionDenied(fmt::format("{}: the certificate of '{}' has OU '{}', and this side talks to {} only",
                                      address, peer.name, role,
                                      side == TlsSide::kServer ? "OU 'site' and 'admin'" : "OU 'server'"));
}

}  // namespace fed_learn
