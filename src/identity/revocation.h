// A revocation list (CRL): certificates that no longer count, although their time has not come.
//
// A RevocationList is a value that shares an immutable OpenSSL object; copying is cheap and safe between threads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/loop.h"
#include "base/result.h"
#include "identity/certificate.h"

struct X509_crl_st;  // OpenSSL's X509_CRL

namespace fed_learn {

struct Revocation {
  std::string serial;  // as Certificate::serial()
  WallTime when;
};

class RevocationList {
 public:
  // Signed by the root and valid as long as it. `number` grows with each list of an authority.
  static Result<RevocationList> Make(const Authority& authority, std::span<const Revocation> revocations, WallTime now,
                                     std::int64_t number);

  // InvalidArgument, naming `source`, for what is not a list in PEM; Unauthenticated if `root` has not signed it.
  static Result<RevocationList> FromPem(std::string_view pem, const Certificate& root, std::string_view source);

  // From a file, as FromPem.
  static Result<RevocationList> Load(Disk& disk, std::string_view path, const Certificate& root);

  bool Contains(const Certificate& certificate) const;
  const std::string& pem() const { return pem_; }

  // Never null, valid as long as this object.
  X509_crl_st* native() const { return list_.get(); }

 private:
  RevocationList(std::shared_ptr<X509_crl_st> list, std::string pem) : list_(std::move(list)), pem_(std::move(pem)) {}

  std::shared_ptr<X509_crl_st> list_;
  std::string pem_;
};

}  // namespace fed_learn
