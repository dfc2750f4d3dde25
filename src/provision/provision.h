// Provisioning: makes certificates and startup kits for whoever project.yml names and has none yet.
//
//   OUT/_authority/   the ledger (ledger.h): keep it, and keep it secret
//   OUT/NAME/         a party's kit as a folder ("server", a site's name, an admin's e-mail)
//   OUT/NAME.zip      the same, to send
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/loop.h"
#include "base/result.h"
#include "provision/project.h"

namespace fed_learn {

struct ProvisionOptions {
  std::string out;
  std::vector<std::string> sign;    // files with certificate requests of sites
  std::vector<std::string> revoke;  // names whose certificates shall no longer count
  std::vector<std::string> renew;   // names that get a new key, certificate and kit
  WallTime now{};
};

struct PartyOutcome {
  enum class What {
    kMade,       // a kit with a key
    kSigned,     // a kit without a key, for a site's request
    kUnchanged,  // nothing of it was touched
    kWaiting,    // for the site's request
    kRevoked,    // has no certificate that counts
    kExpired,
  };
  std::string name;
  What what = What::kMade;
  std::string detail;  // a sentence on what to do next, or empty
};

struct ProvisionReport {
  std::vector<PartyOutcome> parties;
  std::string root_fingerprint;    // for people to compare
  std::vector<std::string> notes;  // each a line for the user
};

// Revokes, then signs, then makes what is missing. Running it again with the same project touches no file of a kit.
//
// The first error ends it; what was done until then stands, and running it again goes on from there. Errors name the
// file, key or party: FailedPrecondition (another project's folder; a name that has another key's certificate),
// NotFound (a name that the project does not have), InvalidArgument (a request that is none).
Result<ProvisionReport> Provision(Disk& disk, const Project& project, const ProvisionOptions& options);

}  // namespace fed_learn
