#include "provision/enroll.h"

#include <fmt/format.h>

#include "identity/kit.h"
#include "identity/name.h"
#include "identity/request.h"

namespace fed_learn {

Result<Enrolment> Enroll(Disk& disk, const EnrollOptions& options) {
  RETURN_IF_ERROR(CheckSiteName(options.name));
  const std::string startup = fmt::format("{}/{}", options.folder, kKitFolder);
  Enrolment enrolment{.key_path = fmt::format("{}/{}", startup, KeyFile(PartyRole::kSite)),
                      .request_path = fmt::format("{}/{}.csr", options.folder, options.name),
                      .key_fingerprint = {}};
  ASSIGN_OR_RETURN(const bool has_key, disk.Exists(enrolment.key_path));
  if (has_key) {
    return AlreadyExists(
        fmt::format("{} is there already and is not overwritten; send the request that was made with it, "
                    "or give another folder with -o",
                    enrolment.key_path));
  }
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate(options.key_type));
  ASSIGN_OR_RETURN(const std::string request, MakeCertificateRequest(key, options.name, options.org));
  enrolment.key_fingerprint = key.public_key().Fingerprint();
  RETURN_IF_ERROR(disk.MakeFolders(startup));
  RETURN_IF_ERROR(WriteFileAtomically(disk, enrolment.request_path, request));
  RETURN_IF_ERROR(key.Save(disk, enrolment.key_path));
  return enrolment;
}

}  // namespace fed_learn
