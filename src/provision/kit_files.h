// The files of a startup kit as provisioning makes them (identity/kit.h says what each is), in a folder and in a zip.
#pragma once

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

struct KitFile {
  std::string name;
  std::string bytes;
  bool secret = false;      // 0600
  bool executable = false;  // 0755
};

struct KitParts {
  Subject subject;
  std::string org;
  std::string certificate_pem;
  std::string key_pem;         // empty if the key was made at the site
  std::string revocation_pem;  // the server's; empty for others
  Json config;
  WallTime now{};
};

// What the kit's configuration file says: where the server listens, or where to find it.
Json ServerConfig(const Project& project);
Json SiteConfig(const Project& project);
Json AdminConfig(const Project& project, std::string_view email);

// All files of the kit, the signed manifest last, so that a kit that was half written has none.
Result<std::vector<KitFile>> MakeKitFiles(const KitParts& parts, const Authority& authority);

// Into FOLDER/startup, replacing what is there file by file. Removes a key that the kit does not have (any more).
Status WriteKit(Disk& disk, std::string_view folder, PartyRole role, const std::vector<KitFile>& files);

// What WriteKit wrote. NotFound, naming the file, if one is missing.
Result<std::vector<KitFile>> ReadKit(Disk& disk, std::string_view folder, PartyRole role);

// The kit as NAME/startup/… with the files' permissions.
Result<std::string> MakeKitArchive(std::string_view name, const std::vector<KitFile>& files, WallTime time);

}  // namespace fed_learn
