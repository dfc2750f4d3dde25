// Certificates: who somebody is in a project, attested by the project's root.
//
// The subject of each is O=<project>, OU=<role>, CN=<name>. A Certificate is a value that shares an immutable OpenSSL
// object; copying is cheap and safe between threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "identity/key.h"

struct x509_st;  // OpenSSL's X509

namespace fed_learn {

enum class PartyRole { kRoot, kServer, kSite, kAdmin };

// "root", "server", "site" or "admin", as it stands in OU.
std::string_view ToString(PartyRole role);

// The inverse. InvalidArgument for anything else.
Result<PartyRole> PartyRoleFromString(std::string_view text);

struct Subject {
  std::string project;
  PartyRole role = PartyRole::kSite;
  std::string name;
  friend bool operator==(const Subject&, const Subject&) = default;
};

// "site 'site_1' of project 'liver'".
std::string Describe(const Subject& subject);

class Certificate {
 public:
  // The first certificate in `pem`. InvalidArgument, naming `source`, if there is none or its subject is not of the
  // form above. Nothing is verified: see chain.h.
  static Result<Certificate> FromPem(std::string_view pem, std::string_view source);

  // Takes a share; otherwise as FromPem.
  static Result<Certificate> From(std::shared_ptr<x509_st> certificate, std::string_view source);

  const Subject& subject() const { return subject_; }
  const std::string& pem() const { return pem_; }
  const std::string& serial() const { return serial_; }  // hex, upper case
  const PublicKey& public_key() const { return public_key_; }
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }

  // SHA-256 over the whole certificate in hex, as `openssl x509 -fingerprint -sha256` says without its colons.
  std::string Fingerprint() const;

  // Never null, valid as long as this object.
  x509_st* native() const { return certificate_.get(); }

 private:
  Certificate(std::shared_ptr<x509_st> certificate, PublicKey public_key)
      : certificate_(std::move(certificate)), public_key_(std::move(public_key)) {}

  std::shared_ptr<x509_st> certificate_;
  PublicKey public_key_;
  Subject subject_;
  std::string pem_;
  std::string serial_;
  WallTime not_before_;
  WallTime not_after_;
};

// The key that signs everything in a project, and its self-signed certificate.
struct Authority {
  PrivateKey key;
  Certificate certificate;
};

struct AuthorityOptions {
  std::string project;
  KeyType key_type = KeyType::kP256;
  WallTime now{};
  int days = 3650;
};

// A new root. Valid from a day before `now`, for the sake of sites whose clocks are behind.
Result<Authority> MakeAuthority(const AuthorityOptions& options);

struct IssueOptions {
  Subject subject;
  WallTime now{};
  int days = 365;                       // never beyond the root's own end
  std::vector<std::string> hosts = {};  // host names and IP addresses a server is reached under; empty for others
};

// A certificate for whoever has the private half of `key`: of use to a server for serving, to others for connecting.
// REQUIRES: the subject's names and the hosts have been checked (name.h), and its role is not kRoot.
Result<Certificate> IssueCertificate(const Authority& authority, const PublicKey& key, const IssueOptions& options);

// "2026-11-24T10:00:00Z".
std::string ToUtcText(WallTime time);

}  // namespace fed_learn
