#include "provision/kit_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "identity/kit.h"
#include "identity/manifest.h"
#include "identity/name.h"
#include "identity/signature.h"
#include "provision/archive.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 << 20;
constexpr std::string_view kStartFile = "start.sh";
constexpr std::string_view kReadmeFile = "readme.txt";

std::string Target(std::string_view host, int port) {
  const bool is_ipv6 = host.find(':') != std::string_view::npos;
  return is_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Json Server(const Project& project, const std::string& target) {
  return {{"name", project.name}, {"service", {{"target", target}}}};
}

void AddTls(Json& object, PartyRole role) {
  object["ssl_private_key"] = KeyFile(role);
  object["ssl_cert"] = CertificateFile(role);
  object["ssl_root_cert"] = kRootFile;
}

std::string_view CommandOf(PartyRole role) {
  if (role == PartyRole::kServer) return "server";
  return role == PartyRole::kSite ? "client" : "admin";
}

std::string StartScript(const Subject& subject) {
  return fmt::format(R"(#!/bin/sh
# Starts {0}. Arguments are passed on: ./start.sh --help
# FEDLEARN names the program, if it is not on the path.
set -eu
kit=$(cd "$(dirname "$0")/.." && pwd)
exec "${{FEDLEARN:-fedlearn}}" {1} --kit "$kit" "$@"
)",
                     Describe(subject), CommandOf(subject.role));
}

std::string KeyAdvice(const KitParts& parts) {
  const std::string_view key = KeyFile(parts.subject.role);
  if (parts.key_pem.empty()) {
    return fmt::format(
        "The private key is not in this kit: `fedlearn client enroll` made startup/{} on your machine, and there it\n"
        "stays. Unpack this kit over that folder.\n",
        key);
  }
  return fmt::format(
      "startup/{} is the private key: whoever has it is taken for you. Keep it readable by its owner only (chmod "
      "600),\n"
      "and delete the zip and the message it came in.\n",
      key);
}

std::string Readme(const KitParts& parts, const Authority& authority) {
  return fmt::format(R"(Startup kit of {0}.

Start it:        startup/start.sh
Check the root:  openssl x509 -in startup/rootCA.pem -noout -fingerprint -sha256
                 has to say, without its colons, what whoever sent this kit reads to you:
                 {1}

{2}
The files listed in startup/manifest.json are signed and checked at each start; do not edit them.
The kit was made on {3}.
)",
                     Describe(parts.subject), authority.certificate.Fingerprint(), KeyAdvice(parts),
                     ToUtcText(parts.now));
}

KitManifest ManifestOf(const KitParts& parts, const std::vector<KitFile>& listed) {
  KitManifest manifest{.subject = parts.subject,
                       .org = parts.org,
                       .key_made_at_site = parts.key_pem.empty(),
                       .created = ToUtcText(parts.now),
                       .files = {}};
  for (const KitFile& file : listed) manifest.files.emplace(file.name, Sha256Hex(file.bytes));
  return manifest;
}

// In one step; the name survives a crash once the folder is synced.
Status ReplaceFile(Disk& disk, const std::string& path, const KitFile& file) {
  const std::string temporary = path + ".tmp";
  ASSIGN_OR_RETURN(const bool left_over, disk.Exists(temporary));
  if (left_over) RETURN_IF_ERROR(disk.Remove(temporary));
  ASSIGN_OR_RETURN(
      const auto open,
      disk.Open(temporary, {.mode = OpenMode::kCreateExclusive, .secret = file.secret, .executable = file.executable}));
  RETURN_IF_ERROR(open->WriteAt(0, AsBytes(file.bytes)));
  RETURN_IF_ERROR(open->Sync());
  return disk.Rename(temporary, path);
}

bool IsSecret(PartyRole role, std::string_view name) { return name == KeyFile(role); }

}  // namespace

Json ServerConfig(const Project& project) {
  Json server = Server(project, Target("0.0.0.0", project.server.port));
  AddTls(server, PartyRole::kServer);
  if (project.server.min_num_clients) server["min_num_clients"] = *project.server.min_num_clients;
  if (project.server.max_num_clients) server["max_num_clients"] = *project.server.max_num_clients;
  return {{"servers", Json::array({std::move(server)})}};
}

Json SiteConfig(const Project& project) {
  Json client = Json::object();
  AddTls(client, PartyRole::kSite);
  const Json server = Server(project, Target(project.server.host, project.server.port));
  return {{"servers", Json::array({server})}, {"client", std::move(client)}};
}

Json AdminConfig(const Project& project, std::string_view email) {
  Json admin = {{"email", email}};
  AddTls(admin, PartyRole::kAdmin);
  const Json server = Server(project, Target(project.server.host, project.server.port));
  return {{"servers", Json::array({server})}, {"admin", std::move(admin)}};
}

Result<std::vector<KitFile>> MakeKitFiles(const KitParts& parts, const Authority& authority) {
  const PartyRole role = parts.subject.role;
  std::vector<KitFile> files = {
      {.name = std::string(kRootFile), .bytes = authority.certificate.pem()},
      {.name = std::string(CertificateFile(role)), .bytes = parts.certificate_pem},
      {.name = std::string(ConfigFile(role)), .bytes = parts.config.dump(2) + "\n"},
      {.name = std::string(kStartFile), .bytes = StartScript(parts.subject), .executable = true},
      {.name = std::string(kReadmeFile), .bytes = Readme(parts, authority)},
  };
  const std::string manifest = ToJsonText(ManifestOf(parts, files));
  ASSIGN_OR_RETURN(std::string signature, Sign(authority.key, manifest));
  if (!parts.key_pem.empty()) {
    files.push_back({.name = std::string(KeyFile(role)), .bytes = parts.key_pem, .secret = true});
  }
  if (!parts.revocation_pem.empty()) {
    files.push_back({.name = std::string(kRevocationFile), .bytes = parts.revocation_pem});
  }
  files.push_back({.name = std::string(kManifestFile), .bytes = manifest});
  files.push_back({.name = std::string(kSignatureFile), .bytes = std::move(signature)});
  return files;
}

Status WriteKit(Disk& disk, std::string_view folder, PartyRole role, const std::vector<KitFile>& files) {
  const std::string startup = fmt::format("{}/{}", folder, kKitFolder);
  RETURN_IF_ERROR(disk.MakeFolders(startup));
  for (const KitFile& file : files) RETURN_IF_ERROR(ReplaceFile(disk, fmt::format("{}/{}", startup, file.name), file));
  const bool has_key =
      std::any_of(files.begin(), files.end(), [&](const auto& file) { return IsSecret(role, file.name); });
  const std::string key = fmt::format("{}/{}", startup, KeyFile(role));
  ASSIGN_OR_RETURN(const bool key_is_there, disk.Exists(key));
  if (!has_key && key_is_there) RETURN_IF_ERROR(disk.Remove(key));
  return disk.SyncFolder(startup);
}

Result<std::vector<KitFile>> ReadKit(Disk& disk, std::string_view folder, PartyRole role) {
  const std::string startup = fmt::format("{}/{}", folder, kKitFolder);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, fmt::format("{}/{}", startup, kManifestFile), kFileBytesMax));
  ASSIGN_OR_RETURN(const KitManifest manifest, ParseKitManifest(text, kManifestFile));
  std::vector<std::string_view> names;
  for (const auto& [name, sha256] : manifest.files) names.push_back(name);
  if (!manifest.key_made_at_site) names.push_back(KeyFile(role));
  if (role == PartyRole::kServer) names.push_back(kRevocationFile);
  names.insert(names.end(), {kManifestFile, kSignatureFile});
  std::vector<KitFile> files;
  for (const std::string_view name : names) {
    ASSIGN_OR_RETURN(std::string bytes, ReadFile(disk, fmt::format("{}/{}", startup, name), kFileBytesMax));
    files.push_back({.name = std::string(name),
                     .bytes = std::move(bytes),
                     .secret = IsSecret(role, name),
                     .executable = name == kStartFile});
  }
  return files;
}

Result<std::string> MakeKitArchive(std::string_view name, const std::vector<KitFile>& files, WallTime time) {
  std::vector<ArchiveEntry> entries;
  for (const KitFile& file : files) {
    entries.push_back({.path = fmt::format("{}/{}/{}", name, kKitFolder, file.name),
                       .bytes = file.bytes,
                       .mode = file.secret       ? 0600u
                               : file.executable ? 0755u
                                                 : 0644u});
  }
  return MakeArchive(entries, time);
}

}  // namespace fed_learn
