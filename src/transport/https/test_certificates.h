// Certificates for tests: a CA made on the spot and whoever it signs. Throws nothing; a failure shows as a handshake
// that fails.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "transport/https/tls.h"

namespace fed_learn::testing {

struct CertificateOptions {
  std::string name = {};            // CN
  std::string role = "site";        // OU
  std::string alternative = {};     // subjectAltName, for example "DNS:localhost,IP:127.0.0.1"
  long valid_from_seconds = -3600;  // relative to now
  long valid_to_seconds = 24 * 3600;
};

class TestCa {
 public:
  explicit TestCa(const std::string& name = "test project") : key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {
    certificate_.reset(Make({.name = name, .role = "ca"}, key_.get(), true));
  }

  std::string Pem() const { return CertificatePem(certificate_.get()); }

  // What a side that the CA has signed passes to TlsContext.
  TlsOptions Sign(const CertificateOptions& options) {
    const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const Certificate certificate(Make(options, key.get(), false), X509_free);
    return {.ca = Pem(), .certificate = CertificatePem(certificate.get()), .key = KeyPem(key.get()), .crl = {}};
  }
  TlsOptions Server() {
    return Sign({.name = "localhost", .role = "server", .alternative = "DNS:localhost,IP:127.0.0.1"});
  }
  TlsOptions Site(const std::string& name) { return Sign({.name = name, .role = "site"}); }

  // A revocation list with the certificate of `options`.
  std::string Revoke(const TlsOptions& options) {
    const Bio in(BIO_new_mem_buf(options.certificate.data(), static_cast<int>(options.certificate.size())),
                 BIO_free_all);
    const Certificate revoked(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> crl(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get()));
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> now(X509_gmtime_adj(nullptr, 0), ASN1_TIME_free);
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> then(X509_gmtime_adj(nullptr, 3600), ASN1_TIME_free);
    X509_CRL_set1_lastUpdate(crl.get(), now.get());
    X509_CRL_set1_nextUpdate(crl.get(), then.get());
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked.get()));
    X509_REVOKED_set_revocationDate(entry, now.get());
    X509_CRL_add0_revoked(crl.get(), entry);
    X509_CRL_sort(crl.get());
    X509_CRL_sign(crl.get(), key_.get(), EVP_sha256());
    const Bio out(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_X509_CRL(out.get(), crl.get());
    return Text(out.get());
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
  using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

  static std::string Text(BIO* bio) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    return std::string(text, static_cast<std::size_t>(size));
  }
  static std::string CertificatePem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_X509(bio.get(), certificate);
    return Text(bio.get());
  }
  static std::string KeyPem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return Text(bio.get());
  }
  static void AddName(X509_NAME* name, const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()), -1,
                               -1, 0);
  }
  static void AddExtension(X509* certificate, X509* issuer, int extension, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension, value.c_str());
    X509_add_ext(certificate, made, -1);
    X509_EXTENSION_free(made);
  }

  X509* Make(const CertificateOptions& options, EVP_PKEY* key, bool is_ca) {
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(certificate), options.valid_from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(certificate), options.valid_to_seconds);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    AddName(name, "O", "test project");
    if (!options.role.empty()) AddName(name, "OU", options.role);
    if (!options.name.empty()) AddName(name, "CN", options.name);
    X509* issuer = is_ca ? certificate : certificate_.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    AddExtension(certificate, issuer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!options.alternative.empty()) AddExtension(certificate, issuer, NID_subject_alt_name, options.alternative);
    X509_sign(certificate, key_.get(), EVP_sha256());
    return certificate;
  }

  Key key_;
  Certificate certificate_{nullptr, X509_free};
  long serial_ = 0;
};

}  // namespace fed_learn::testing
