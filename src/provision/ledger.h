// The ledger of a provisioned project: its root key, and who has been issued what. It lies in OUT/_authority:
//
//   root.key       the root's private key, 0600: whoever has it can be anybody in the project
//   rootCA.pem     its certificate
//   project.json   what every kit has been told and so cannot change: name, host, port
//   crl.pem        certificates revoked so far
//   issued/NAME.json   one party each; written after the party's kit, so a run that broke off makes that kit anew
//
// Not thread-safe; holds the folder's lock, so a second run at the same time is refused.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/result.h"
#include "identity/certificate.h"
#include "provision/project.h"

namespace fed_learn {

struct IssuedCertificate {
  std::string serial;
  std::string key_fingerprint;
  WallTime not_after{};
  std::optional<WallTime> revoked;
};

struct PartyRecord {
  std::string name;
  PartyRole role = PartyRole::kSite;
  bool key_made_at_site = false;
  std::vector<IssuedCertificate> certificates;  // in order of issue; never empty
  Json settings = Json::object();               // of project.yml that went into the kit

  // The last one issued still counts, its time aside.
  bool in_force() const { return !certificates.back().revoked.has_value(); }
};

class Ledger {
 public:
  // Opens OUT/_authority for `project`; makes it, with a new root, if it is not there.
  //
  // FailedPrecondition if it is another project's or its host or port are not `project`'s: every kit that was handed
  // out names these. PermissionDenied if others can read root.key.
  static Result<Ledger> Open(Disk& disk, std::string_view out, const Project& project, WallTime now);

  const Authority& authority() const { return authority_; }

  Result<std::optional<PartyRecord>> Find(std::string_view name) const;

  // Inserts or replaces; durable on return.
  Status Record(const PartyRecord& record);

  // Sorted by name.
  Result<std::vector<PartyRecord>> All() const;

  // Adds every certificate that `name` ever had to crl.pem. NotFound, with the nearest name, if it has had none;
  // InvalidArgument for the server, whose certificate is checked by sites, which have no list.
  Status Revoke(std::string_view name, WallTime now);

  // crl.pem.
  Result<std::string> RevocationPem() const;

 private:
  Ledger(Disk& disk, std::string folder, std::shared_ptr<void> lock, Authority authority)
      : disk_(&disk), folder_(std::move(folder)), lock_(std::move(lock)), authority_(std::move(authority)) {}

  std::string RecordPath(std::string_view name) const;
  Status WriteRevocations(WallTime now);

  Disk* disk_;
  std::string folder_;
  std::shared_ptr<void> lock_;
  Authority authority_;
};

}  // namespace fed_learn
