#include "provision/provision.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "identity/kit.h"
#include "identity/name.h"
#include "identity/request.h"
#include "provision/kit_files.h"
#include "provision/ledger.h"

namespace fed_learn {
namespace {

using What = PartyOutcome::What;

constexpr std::uint64_t kRequestBytesMax = 64 << 10;

// One party of project.yml, whatever its role.
struct Party {
  Subject subject;
  std::string org;
  bool own_key = false;
  std::vector<std::string> hosts;
  Json config;
};

Json SettingsOf(const Party& party) { return {{"config", party.config}, {"hosts", party.hosts}}; }

std::vector<Party> PartiesOf(const Project& project) {
  std::vector<std::string> hosts = {project.server.host};
  hosts.insert(hosts.end(), project.server.alt_names.begin(), project.server.alt_names.end());
  std::vector<Party> parties = {{.subject = {project.name, PartyRole::kServer, std::string(kServerName)},
                                 .org = project.server.org,
                                 .hosts = std::move(hosts),
                                 .config = ServerConfig(project)}};
  for (const SiteEntry& site : project.sites) {
    parties.push_back({.subject = {project.name, PartyRole::kSite, site.name},
                       .org = site.org,
                       .own_key = site.own_key,
                       .hosts = {},
                       .config = SiteConfig(project)});
  }
  for (const AdminEntry& admin : project.admins) {
    parties.push_back({.subject = {project.name, PartyRole::kAdmin, admin.email},
                       .org = admin.org,
                       .hosts = {},
                       .config = AdminConfig(project, admin.email)});
  }
  return parties;
}

class Provisioner {
 public:
  Provisioner(Disk& disk, const Project& project, const ProvisionOptions& options, Ledger ledger)
      : disk_(disk), project_(project), options_(options), ledger_(std::move(ledger)), parties_(PartiesOf(project)) {}

  Result<ProvisionReport> Run() {
    report_.root_fingerprint = ledger_.authority().certificate.Fingerprint();
    report_.notes = project_.notes;
    for (const std::string& name : options_.renew) RETURN_IF_ERROR(FindParty(name, "--renew").map([](const Party*) {}));
    RETURN_IF_ERROR(Revoke());
    for (const std::string& path : options_.sign) RETURN_IF_ERROR(SignRequest(path));
    for (const Party& party : parties_) {
      if (!signed_.contains(party.subject.name)) RETURN_IF_ERROR(BringUp(party));
    }
    RETURN_IF_ERROR(NoteParted());
    return std::move(report_);
  }

 private:
  std::string FolderOf(std::string_view name) const { return fmt::format("{}/{}", options_.out, name); }

  bool IsRenewed(const std::string& name) const {
    return std::find(options_.renew.begin(), options_.renew.end(), name) != options_.renew.end();
  }

  Result<const Party*> FindParty(std::string_view name, std::string_view asked_by) const {
    std::vector<std::string> names;
    for (const Party& party : parties_) {
      if (party.subject.name == name) return &party;
      names.push_back(party.subject.name);
    }
    return NotFound(fmt::format("{}: '{}' is not in {}{}; add it there, or correct the name", asked_by, Escaped(name),
                                project_.source, DidYouMean(name, names)));
  }

  Status Revoke() {
    for (const std::string& name : options_.revoke) {
      RETURN_IF_ERROR(ledger_.Revoke(name, options_.now));
      report_.notes.push_back(fmt::format("'{}' is revoked", name));
    }
    return options_.revoke.empty() ? Status() : HandListToServer();
  }

  // Into the server's kit, if that is still here; it is the only file of it that changes.
  Status HandListToServer() {
    const std::string folder = FolderOf(kServerName);
    const std::string startup = fmt::format("{}/{}", folder, kKitFolder);
    ASSIGN_OR_RETURN(const bool is_here, disk_.Exists(fmt::format("{}/{}", startup, kSignatureFile)));
    ASSIGN_OR_RETURN(const std::string pem, ledger_.RevocationPem());
    if (is_here) {
      RETURN_IF_ERROR(WriteFileAtomically(disk_, fmt::format("{}/{}", startup, kRevocationFile), pem));
      ASSIGN_OR_RETURN(const auto files, ReadKit(disk_, folder, PartyRole::kServer));
      RETURN_IF_ERROR(WriteArchive(std::string(kServerName), files));
    }
    report_.notes.push_back(
        fmt::format("copy {}/_authority/{} to {}/ of the running server's kit and restart the server: "
                    "only then is the revoked certificate refused",
                    options_.out, kRevocationFile, kKitFolder));
    return {};
  }

  Status SignRequest(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(disk_, path, kRequestBytesMax));
    ASSIGN_OR_RETURN(const CertificateRequest request, ParseCertificateRequest(pem, path));
    ASSIGN_OR_RETURN(const Party* party, FindParty(request.name, path));
    if (party->subject.role != PartyRole::kSite) {
      return InvalidArgument(fmt::format("{}: '{}' is not a site; only sites make their own keys", path, request.name));
    }
    ASSIGN_OR_RETURN(auto record, ledger_.Find(request.name));
    RETURN_IF_ERROR(CheckKey(record, request, path));
    RETURN_IF_ERROR(MakeKit(*party, request.key, "", std::move(record)));
    signed_.insert(request.name);
    Report(*party, What::kSigned,
           fmt::format(
               "key SHA-256 {}; compare it with what `fedlearn client enroll` printed at the site{}",
               request.key.Fingerprint(),
               request.org == party->org ? "" : fmt::format(" (the request says org '{}')", Escaped(request.org))));
    return {};
  }

  // Whoever can send a file must not be able to take over a name that somebody has, nor bring back a key that was lost.
  Status CheckKey(const std::optional<PartyRecord>& record, const CertificateRequest& request,
                  std::string_view path) const {
    if (!record) return {};
    const std::string& name = request.name;
    const std::string fingerprint = request.key.Fingerprint();
    for (const IssuedCertificate& certificate : record->certificates) {
      if (!certificate.revoked || certificate.key_fingerprint != fingerprint) continue;
      return FailedPrecondition(
          fmt::format("{}: this key of '{}' is revoked for good; the site makes a new one with: fedlearn client enroll",
                      path, name));
    }
    if (IsRenewed(name)) return {};
    if (!record->in_force()) {
      return FailedPrecondition(fmt::format(
          "{}: '{}' is revoked; to let the site in again with its new key, add --renew {}", path, name, name));
    }
    if (record->certificates.back().key_fingerprint == fingerprint) return {};
    return FailedPrecondition(fmt::format(
        "{}: '{}' has a certificate for another key; if the site really made a new one, add --renew {} (and "
        "--revoke {} if the old key was lost)",
        path, name, name, name));
  }

  Status BringUp(const Party& party) {
    const std::string& name = party.subject.name;
    ASSIGN_OR_RETURN(auto record, ledger_.Find(name));
    if (record && record->role != party.subject.role) {
      return FailedPrecondition(
          fmt::format("{}: '{}' is {} there and was {} in the kits made so far; give it another name", project_.source,
                      name, ToString(party.subject.role), ToString(record->role)));
    }
    if (record && !IsRenewed(name)) return ReportKnown(party, *record);
    if (party.own_key) {
      Report(party, What::kWaiting,
             fmt::format("the site runs `fedlearn client enroll --name {}` and sends {}.csr, then: --sign {}.csr{}",
                         name, name, name, record ? fmt::format(" --renew {}", name) : ""));
      return {};
    }
    ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate(project_.key_type));
    ASSIGN_OR_RETURN(const std::string key_pem, key.ToPem());
    RETURN_IF_ERROR(MakeKit(party, key.public_key(), key_pem, std::move(record)));
    Report(party, What::kMade, fmt::format("send {}.zip to it, safely: the private key is in it", FolderOf(name)));
    return {};
  }

  Status ReportKnown(const Party& party, const PartyRecord& record) {
    const std::string& name = party.subject.name;
    const IssuedCertificate& last = record.certificates.back();
    const std::string renew = fmt::format("--renew {} makes a new kit", name);
    if (!record.in_force()) {
      const std::string sign = fmt::format("with a new key's request: --sign {}.csr --renew {}", name, name);
      Report(party, What::kRevoked, party.own_key ? sign : renew);
    } else if (last.not_after < options_.now) {
      const std::string sign = fmt::format("sign its request again: --sign {}.csr", name);
      Report(party, What::kExpired, fmt::format("on {}; {}", ToUtcText(last.not_after), party.own_key ? sign : renew));
    } else {
      Report(party, What::kUnchanged, "");
    }
    if (record.settings != SettingsOf(party)) {
      report_.notes.push_back(fmt::format("{} says something else of '{}' than its kit; --renew {} makes the kit anew",
                                          project_.source, name, name));
    }
    return {};
  }

  // The certificate, the kit, the archive, and only then the record of it.
  Status MakeKit(const Party& party, const PublicKey& key, const std::string& key_pem,
                 std::optional<PartyRecord> record) {
    const Authority& authority = ledger_.authority();
    ASSIGN_OR_RETURN(
        const Certificate certificate,
        IssueCertificate(authority, key,
                         {.subject = party.subject, .now = options_.now, .days = project_.days, .hosts = party.hosts}));
    std::string revocation_pem;
    if (party.subject.role == PartyRole::kServer) {
      ASSIGN_OR_RETURN(revocation_pem, ledger_.RevocationPem());
    }
    ASSIGN_OR_RETURN(const auto files, MakeKitFiles({.subject = party.subject,
                                                     .org = party.org,
                                                     .certificate_pem = certificate.pem(),
                                                     .key_pem = key_pem,
                                                     .revocation_pem = std::move(revocation_pem),
                                                     .config = party.config,
                                                     .now = options_.now},
                                                    authority));
    const std::string& name = party.subject.name;
    RETURN_IF_ERROR(WriteKit(disk_, FolderOf(name), party.subject.role, files));
    RETURN_IF_ERROR(WriteArchive(name, files));
    PartyRecord issued =
        record ? *std::move(record) : PartyRecord{.name = name, .role = party.subject.role, .certificates = {}};
    issued.key_made_at_site = key_pem.empty();
    issued.settings = SettingsOf(party);
    issued.certificates.push_back({certificate.serial(), key.Fingerprint(), certificate.not_after(), {}});
    return ledger_.Record(issued);
  }

  Status WriteArchive(const std::string& name, const std::vector<KitFile>& files) {
    ASSIGN_OR_RETURN(const std::string bytes, MakeKitArchive(name, files, options_.now));
    const bool has_secret = std::any_of(files.begin(), files.end(), [](const KitFile& file) { return file.secret; });
    return WriteFileAtomically(disk_, FolderOf(name) + ".zip", bytes, has_secret);
  }

  // Somebody who was taken out of project.yml still has a certificate that counts.
  Status NoteParted() {
    ASSIGN_OR_RETURN(const auto records, ledger_.All());
    for (const PartyRecord& record : records) {
      const bool is_here = std::any_of(parties_.begin(), parties_.end(),
                                       [&](const Party& party) { return party.subject.name == record.name; });
      if (is_here || !record.in_force()) continue;
      report_.notes.push_back(fmt::format("'{}' is not in {} and can still connect; --revoke {} shuts it out",
                                          record.name, project_.source, record.name));
    }
    return {};
  }

  void Report(const Party& party, What what, std::string detail) {
    report_.parties.push_back({party.subject.name, what, std::move(detail)});
  }

  Disk& disk_;
  const Project& project_;
  const ProvisionOptions& options_;
  Ledger ledger_;
  std::vector<Party> parties_;
  std::set<std::string> signed_;
  ProvisionReport report_;
};

}  // namespace

Result<ProvisionReport> Provision(Disk& disk, const Project& project, const ProvisionOptions& options) {
  ASSIGN_OR_RETURN(Ledger ledger, Ledger::Open(disk, options.out, project, options.now));
  return Provisioner(disk, project, options, std::move(ledger)).Run();
}

}  // namespace fed_learn
