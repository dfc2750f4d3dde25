#include "identity/kit.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <utility>

#include "identity/chain.h"
#include "identity/manifest.h"
#include "identity/signature.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 << 20;
constexpr std::string_view kUnpackAgain =
    "unpack the kit again from its zip, or ask whoever provisions the project for it";

class KitReader {
 public:
  KitReader(Disk& disk, std::string_view folder) : disk_(disk), folder_(folder) {}

  std::string PathOf(std::string_view name) const { return fmt::format("{}/{}/{}", folder_, kKitFolder, name); }

  Result<std::string> Read(std::string_view name) const {
    auto bytes = ReadFile(disk_, PathOf(name), kFileBytesMax);
    if (bytes.has_value() || bytes.error().kind() != ErrorKind::kNotFound) return bytes;
    if (name == kManifestFile) {
      return NotFound(fmt::format("{} is missing; give the folder of a startup kit, the one that holds {}/",
                                  PathOf(name), kKitFolder));
    }
    return NotFound(fmt::format("{} is missing; {}", PathOf(name), kUnpackAgain));
  }

  // The manifest, once its signature by rootCA.pem is verified.
  Result<KitManifest> ReadManifest(const Certificate& root) const {
    ASSIGN_OR_RETURN(const std::string text, Read(kManifestFile));
    ASSIGN_OR_RETURN(const std::string signature, Read(kSignatureFile));
    if (!VerifySignature(root.public_key(), text, signature).has_value()) {
      return DataLoss(
          fmt::format("{} is not what {} signed in {}: one of the three was changed or is of another kit; {}",
                      PathOf(kManifestFile), kRootFile, kSignatureFile, kUnpackAgain));
    }
    ASSIGN_OR_RETURN(KitManifest manifest, ParseKitManifest(text, PathOf(kManifestFile)));
    if (manifest.subject.project == root.subject().project && manifest.subject.role != PartyRole::kRoot)
      return manifest;
    return DataLoss(fmt::format("{} is not a kit of project '{}'; {}", PathOf(kManifestFile), root.subject().project,
                                kUnpackAgain));
  }

  // The bytes of every listed file, each verified.
  Result<std::map<std::string, std::string>> ReadListed(const KitManifest& manifest) const {
    std::map<std::string, std::string> contents;
    for (const auto& [name, sha256] : manifest.files) {
      ASSIGN_OR_RETURN(std::string bytes, Read(name));
      if (Sha256Hex(bytes) != sha256) {
        return DataLoss(fmt::format("{} was changed since the kit was made; {}", PathOf(name), kUnpackAgain));
      }
      contents.emplace(name, std::move(bytes));
    }
    const PartyRole role = manifest.subject.role;
    for (const std::string_view name : {kRootFile, CertificateFile(role), ConfigFile(role)}) {
      if (!contents.contains(std::string(name))) {
        return DataLoss(fmt::format("{} does not list {}; {}", PathOf(kManifestFile), name, kUnpackAgain));
      }
    }
    return contents;
  }

  Result<PrivateKey> ReadKey(const KitManifest& manifest, const Certificate& certificate) const {
    const PartyRole role = manifest.subject.role;
    const std::string path = PathOf(KeyFile(role));
    auto key = PrivateKey::Load(disk_, path);
    if (!key.has_value() && key.error().kind() == ErrorKind::kNotFound) {
      return NotFound(fmt::format(
          "{} is missing; {}", path,
          manifest.key_made_at_site
              ? "this kit goes into the folder in which `fedlearn client enroll` made the key: unpack it over that one"
              : kUnpackAgain));
    }
    if (!key.has_value()) return key;
    if (key->public_key() == certificate.public_key()) return key;
    return DataLoss(fmt::format("{} is not the key of {}; {}", path, CertificateFile(role), kUnpackAgain));
  }

 private:
  Disk& disk_;
  std::string folder_;
};

Status CheckRole(const KitReader& reader, const KitManifest& manifest, PartyRole wanted) {
  if (manifest.subject.role == wanted) return {};
  return InvalidArgument(fmt::format("{} is of {}, and this needs the kit of a{}; give another folder",
                                     reader.PathOf(kManifestFile), Describe(manifest.subject),
                                     wanted == PartyRole::kAdmin ? "n admin" : fmt::format(" {}", ToString(wanted))));
}

// The server's; others get an empty list of none.
Result<std::string> ReadRevocations(const KitReader& reader, const KitManifest& manifest, const Certificate& root,
                                    const Certificate& certificate, WallTime now) {
  const std::string path = reader.PathOf(CertificateFile(manifest.subject.role));
  if (manifest.subject.role != PartyRole::kServer) {
    if (auto valid = VerifyCertificate(certificate, root, nullptr, now); !valid.has_value())
      return valid.error().In(path);
    return std::string();
  }
  ASSIGN_OR_RETURN(std::string pem, reader.Read(kRevocationFile));
  ASSIGN_OR_RETURN(const auto list, RevocationList::FromPem(pem, root, reader.PathOf(kRevocationFile)));
  if (auto valid = VerifyCertificate(certificate, root, &list, now); !valid.has_value()) return valid.error().In(path);
  return pem;
}

}  // namespace

std::string_view CertificateFile(PartyRole role) { return role == PartyRole::kServer ? "server.crt" : "client.crt"; }

std::string_view KeyFile(PartyRole role) { return role == PartyRole::kServer ? "server.key" : "client.key"; }

std::string_view ConfigFile(PartyRole role) {
  if (role == PartyRole::kServer) return "fed_server.json";
  return role == PartyRole::kSite ? "fed_client.json" : "fed_admin.json";
}

Result<Kit> LoadKit(Disk& disk, std::string_view folder, const LoadKitOptions& options) {
  const KitReader reader(disk, folder);
  // Read first, so that a folder that is no kit at all is called that.
  RETURN_IF_ERROR(reader.Read(kManifestFile).map([](const std::string&) {}));
  ASSIGN_OR_RETURN(const std::string root_pem, reader.Read(kRootFile));
  ASSIGN_OR_RETURN(Certificate root, Certificate::FromPem(root_pem, reader.PathOf(kRootFile)));
  ASSIGN_OR_RETURN(const KitManifest manifest, reader.ReadManifest(root));
  RETURN_IF_ERROR(CheckRole(reader, manifest, options.role));
  ASSIGN_OR_RETURN(const auto files, reader.ReadListed(manifest));

  const std::string certificate_path = reader.PathOf(CertificateFile(options.role));
  ASSIGN_OR_RETURN(Certificate certificate,
                   Certificate::FromPem(files.at(std::string(CertificateFile(options.role))), certificate_path));
  if (certificate.subject() != manifest.subject) {
    return DataLoss(fmt::format("{} is of {}, and the kit is of {}; {}", certificate_path,
                                Describe(certificate.subject()), Describe(manifest.subject), kUnpackAgain));
  }
  ASSIGN_OR_RETURN(std::string revocation_pem, ReadRevocations(reader, manifest, root, certificate, options.now));
  ASSIGN_OR_RETURN(PrivateKey key, reader.ReadKey(manifest, certificate));
  const std::string config_file(ConfigFile(options.role));
  ASSIGN_OR_RETURN(Json config, ParseJson(files.at(config_file), reader.PathOf(config_file)));
  return Kit{.subject = manifest.subject,
             .org = manifest.org,
             .root_path = reader.PathOf(kRootFile),
             .certificate_path = certificate_path,
             .key_path = reader.PathOf(KeyFile(options.role)),
             .revocation_path = revocation_pem.empty() ? "" : reader.PathOf(kRevocationFile),
             .root = std::move(root),
             .certificate = std::move(certificate),
             .key = std::move(key),
             .revocation_pem = std::move(revocation_pem),
             .config = std::move(config)};
}

}  // namespace fed_learn
