#include "provision/ledger.h"

#include <fmt/format.h>

#include "base/text.h"
#include "identity/kit.h"
#include "identity/name.h"
#include "identity/revocation.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 << 20;
constexpr std::string_view kFolder = "_authority";  // no name begins with '_'
constexpr std::string_view kKeyFile = "root.key";
constexpr std::string_view kProjectFile = "project.json";
constexpr std::string_view kIssuedFolder = "issued";
constexpr std::string_view kRecordSuffix = ".json";

std::int64_t ToSeconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

Json ToJson(const PartyRecord& record) {
  Json certificates = Json::array();
  for (const IssuedCertificate& certificate : record.certificates) {
    certificates.push_back({{"serial", certificate.serial},
                            {"key_sha256", certificate.key_fingerprint},
                            {"not_after", ToUtcText(certificate.not_after)},
                            {"not_after_seconds", ToSeconds(certificate.not_after)}});
    if (certificate.revoked) certificates.back()["revoked_seconds"] = ToSeconds(*certificate.revoked);
  }
  return {{"name", record.name},
          {"role", ToString(record.role)},
          {"key_made_at_site", record.key_made_at_site},
          {"certificates", std::move(certificates)},
          {"settings", record.settings}};
}

WallTime TimeAt(const Json& object, const char* key) {
  return WallTime(std::chrono::seconds(object.at(key).get<std::int64_t>()));
}

Result<PartyRecord> ParseRecord(const Json& object, std::string_view source) {
  PartyRecord record;
  try {
    record.name = object.at("name").get<std::string>();
    ASSIGN_OR_RETURN(record.role, PartyRoleFromString(object.at("role").get<std::string>()));
    record.key_made_at_site = object.at("key_made_at_site").get<bool>();
    record.settings = object.at("settings");
    for (const Json& certificate : object.at("certificates")) {
      record.certificates.push_back({.serial = certificate.at("serial").get<std::string>(),
                                     .key_fingerprint = certificate.at("key_sha256").get<std::string>(),
                                     .not_after = TimeAt(certificate, "not_after_seconds"),
                                     .revoked = {}});
      if (certificate.contains("revoked_seconds")) {
        record.certificates.back().revoked = TimeAt(certificate, "revoked_seconds");
      }
    }
  } catch (const Json::exception& error) {
    return DataLoss(
        fmt::format("{}: not a record of this release ({}); restore it from a backup", source, error.what()));
  }
  if (record.certificates.empty()) {
    return DataLoss(fmt::format("{}: 'certificates' is empty; restore it from a backup", source));
  }
  return record;
}

Json FactsOf(const Project& project) {
  return {{"version", 1},
          {"project", project.name},
          {"host", project.server.host},
          {"fed_learn_port", project.server.port}};
}

Status CheckFacts(const Json& facts, const Project& project, std::string_view path) {
  const Json wanted = FactsOf(project);
  for (const auto& [key, value] : wanted.items()) {
    const Json known = facts.is_object() ? facts.value(key, Json()) : Json();
    if (known == value) continue;
    return FailedPrecondition(fmt::format(
        "{}: the {} is {}, and the kits made so far say {} ({}): put it back, or give another folder with -o "
        "and hand out all kits anew",
        project.source, key, value.dump(), known.dump(), path));
  }
  return {};
}

Result<Authority> LoadAuthority(Disk& disk, const std::string& key_path, const std::string& certificate_path) {
  auto key = PrivateKey::Load(disk, key_path);
  if (!key.has_value() && key.error().kind() == ErrorKind::kNotFound) {
    return NotFound(
        fmt::format("{} is missing: without it nothing can be signed; restore it from a backup, or give "
                    "another folder with -o and hand out all kits anew",
                    key_path));
  }
  if (!key.has_value()) return key.error();
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(disk, certificate_path, kFileBytesMax));
  ASSIGN_OR_RETURN(Certificate certificate, Certificate::FromPem(pem, certificate_path));
  if (key->public_key() == certificate.public_key()) return Authority{*std::move(key), std::move(certificate)};
  return DataLoss(fmt::format("{} is not the key of {}; restore both from one backup", key_path, certificate_path));
}

// A new root. Its certificate is written before its key, so where there is a key both are there.
Result<Authority> MakeAndSaveAuthority(Disk& disk, const std::string& key_path, const std::string& certificate_path,
                                       const Project& project, WallTime now) {
  ASSIGN_OR_RETURN(Authority authority,
                   MakeAuthority({.project = project.name, .key_type = project.key_type, .now = now}));
  RETURN_IF_ERROR(WriteFileAtomically(disk, certificate_path, authority.certificate.pem()));
  RETURN_IF_ERROR(authority.key.Save(disk, key_path));
  return authority;
}

}  // namespace

Result<Ledger> Ledger::Open(Disk& disk, std::string_view out, const Project& project, WallTime now) {
  const std::string folder = fmt::format("{}/{}", out, kFolder);
  const std::string facts_path = fmt::format("{}/{}", folder, kProjectFile);
  const std::string key_path = fmt::format("{}/{}", folder, kKeyFile);
  const std::string certificate_path = fmt::format("{}/{}", folder, kRootFile);
  RETURN_IF_ERROR(disk.MakeFolders(fmt::format("{}/{}", folder, kIssuedFolder)));
  ASSIGN_OR_RETURN(auto lock, disk.Lock(folder));
  ASSIGN_OR_RETURN(const bool has_facts, disk.Exists(facts_path));
  ASSIGN_OR_RETURN(const bool has_key, disk.Exists(key_path));
  if (has_facts) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, facts_path, kFileBytesMax));
    ASSIGN_OR_RETURN(const Json facts, ParseJson(text, facts_path));
    RETURN_IF_ERROR(CheckFacts(facts, project, facts_path));
  }
  // A root that a run made before it broke off is used, not replaced.
  auto authority = has_facts || has_key ? LoadAuthority(disk, key_path, certificate_path)
                                        : MakeAndSaveAuthority(disk, key_path, certificate_path, project, now);
  if (!authority.has_value()) return authority.error();
  if (authority->certificate.subject().project != project.name) {
    return FailedPrecondition(fmt::format("{} is of project '{}', and {} says '{}': give another folder with -o",
                                          certificate_path, authority->certificate.subject().project, project.source,
                                          project.name));
  }
  Ledger ledger(disk, folder, std::move(lock), *std::move(authority));
  if (has_facts) return ledger;
  RETURN_IF_ERROR(ledger.WriteRevocations(now));
  RETURN_IF_ERROR(WriteFileAtomically(disk, facts_path, FactsOf(project).dump(2) + "\n"));
  return ledger;
}

std::string Ledger::RecordPath(std::string_view name) const {
  return fmt::format("{}/{}/{}{}", folder_, kIssuedFolder, name, kRecordSuffix);
}

Result<std::optional<PartyRecord>> Ledger::Find(std::string_view name) const {
  RETURN_IF_ERROR(CheckName(name));
  const std::string path = RecordPath(name);
  ASSIGN_OR_RETURN(const bool exists, disk_->Exists(path));
  if (!exists) return std::optional<PartyRecord>();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(*disk_, path, kFileBytesMax));
  ASSIGN_OR_RETURN(const Json object, ParseJson(text, path));
  ASSIGN_OR_RETURN(PartyRecord record, ParseRecord(object, path));
  return std::optional<PartyRecord>(std::move(record));
}

Status Ledger::Record(const PartyRecord& record) {
  return WriteFileAtomically(*disk_, RecordPath(record.name), ToJson(record).dump(2) + "\n");
}

Result<std::vector<PartyRecord>> Ledger::All() const {
  std::vector<PartyRecord> records;
  ASSIGN_OR_RETURN(const auto files, disk_->List(fmt::format("{}/{}", folder_, kIssuedFolder)));
  for (const std::string& file : files) {
    if (!file.ends_with(kRecordSuffix)) continue;
    ASSIGN_OR_RETURN(auto record, Find(file.substr(0, file.size() - kRecordSuffix.size())));
    if (record) records.push_back(*std::move(record));
  }
  return records;
}

Status Ledger::Revoke(std::string_view name, WallTime now) {
  if (name == kServerName) {
    return InvalidArgument(
        "the server's certificate cannot be revoked, since no site has a revocation list: after a theft of its key, "
        "provision the project into a new folder (-o) and hand out all kits anew");
  }
  ASSIGN_OR_RETURN(const auto records, All());
  std::vector<std::string> names;
  for (PartyRecord record : records) {
    if (record.name != name) {
      if (record.role != PartyRole::kServer) names.push_back(record.name);
      continue;
    }
    for (IssuedCertificate& certificate : record.certificates) {
      if (!certificate.revoked) certificate.revoked = now;
    }
    RETURN_IF_ERROR(Record(record));
    return WriteRevocations(now);
  }
  return NotFound(
      fmt::format("nobody called '{}' has a certificate of this project{}", Escaped(name), DidYouMean(name, names)));
}

Result<std::string> Ledger::RevocationPem() const {
  return ReadFile(*disk_, fmt::format("{}/{}", folder_, kRevocationFile), kFileBytesMax);
}

Status Ledger::WriteRevocations(WallTime now) {
  ASSIGN_OR_RETURN(const auto records, All());
  std::vector<Revocation> revocations;
  for (const PartyRecord& record : records) {
    for (const IssuedCertificate& certificate : record.certificates) {
      if (certificate.revoked) revocations.push_back({certificate.serial, *certificate.revoked});
    }
  }
  // Nothing is ever taken off the list, so its length grows with each new one and can number it.
  const auto number = static_cast<std::int64_t>(revocations.size()) + 1;
  ASSIGN_OR_RETURN(const auto list, RevocationList::Make(authority_, revocations, now, number));
  return WriteFileAtomically(*disk_, fmt::format("{}/{}", folder_, kRevocationFile), list.pem());
}

}  // namespace fed_learn
