// Enrolment: a site makes its own key and asks for a certificate, so that the key never leaves the site.
#pragma once

#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "identity/key.h"

namespace fed_learn {

struct EnrollOptions {
  std::string name;
  std::string org;     // may be empty
  std::string folder;  // where the kit will be unpacked
  KeyType key_type = KeyType::kP256;
};

struct Enrolment {
  std::string key_path;      // FOLDER/startup/client.key, 0600
  std::string request_path;  // FOLDER/NAME.csr, to send to whoever provisions the project
  std::string key_fingerprint;
};

// AlreadyExists, naming it, if the folder has a key: it is never overwritten. InvalidArgument for a name that no site
// can have.
Result<Enrolment> Enroll(Disk& disk, const EnrollOptions& options);

}  // namespace fed_learn
