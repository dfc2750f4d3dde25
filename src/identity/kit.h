// A startup kit: all that a party of a project needs to come up, in one folder.
//
//   FOLDER/startup/   rootCA.pem        the project's root certificate
//                     server.crt .key   the party's own (client.crt, client.key for sites and admins)
//                     fed_server.json   where and how to connect or listen (fed_client.json, fed_admin.json)
//                     crl.pem           the server's: certificates that are revoked
//                     start.sh readme.txt
//                     manifest.json     SHA-256 of each file that must not change
//                     manifest.sig      the root's signature over it
#pragma once

#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/result.h"
#include "identity/certificate.h"

namespace fed_learn {

inline constexpr std::string_view kKitFolder = "startup";
inline constexpr std::string_view kRootFile = "rootCA.pem";
inline constexpr std::string_view kRevocationFile = "crl.pem";
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kSignatureFile = "manifest.sig";

// The file names that depend on whose kit it is. REQUIRES: role is not kRoot.
std::string_view CertificateFile(PartyRole role);
std::string_view KeyFile(PartyRole role);
std::string_view ConfigFile(PartyRole role);

// A value; safe to copy between threads. Its key has no formatter.
struct Kit {
  Subject subject;
  std::string org;
  std::string root_path;  // these four as given to the disk, for whoever reads files itself
  std::string certificate_path;
  std::string key_path;
  std::string revocation_path;  // empty for a kit that is not the server's
  Certificate root;
  Certificate certificate;
  PrivateKey key;
  std::string revocation_pem;  // empty for a kit that is not the server's
  Json config;                 // fed_server.json, fed_client.json or fed_admin.json
};

struct LoadKitOptions {
  PartyRole role = PartyRole::kSite;  // whose kit the caller can use
  WallTime now{};
};

// Reads FOLDER/startup and trusts nothing of it before the manifest's signature, each listed file, the certificate (by
// the root, in its time, of the manifest's subject, not revoked) and the key (its owner's only, and the certificate's)
// have been verified. Files that the manifest does not list are not read.
//
// Every error names the file and how to mend it: NotFound (a file is missing), DataLoss (changed), PermissionDenied
// (others can read the key), Unauthenticated (the certificate does not count), InvalidArgument (another role's kit,
// malformed).
Result<Kit> LoadKit(Disk& disk, std::string_view folder, const LoadKitOptions& options);

}  // namespace fed_learn
