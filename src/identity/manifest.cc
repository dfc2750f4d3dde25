#include "identity/manifest.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "identity/name.h"

namespace fed_learn {
namespace {

constexpr int kVersion = 1;

Error Malformed(std::string_view source, std::string_view key, std::string_view what) {
  return InvalidArgument(
      fmt::format("{}: '{}' {}; unpack the kit again, with the fedlearn release it was made with or a "
                  "later one",
                  source, key, what));
}

Result<std::string> TextAt(const Json& object, const std::string& key, std::string_view source) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return Malformed(source, key, "is not there, or not a string");
  return found->get<std::string>();
}

bool IsPlainFileName(const std::string& name) { return CheckName(name).has_value(); }

}  // namespace

std::string ToJsonText(const KitManifest& manifest) {
  const Json object = {{"version", kVersion},
                       {"project", manifest.subject.project},
                       {"role", ToString(manifest.subject.role)},
                       {"name", manifest.subject.name},
                       {"org", manifest.org},
                       {"key_made_at_site", manifest.key_made_at_site},
                       {"created", manifest.created},
                       {"files", manifest.files}};
  return object.dump(2) + "\n";
}

Result<KitManifest> ParseKitManifest(std::string_view text, std::string_view source) {
  ASSIGN_OR_RETURN(const Json object, ParseJson(text, source));
  if (!object.is_object() || object.value("version", Json()) != kVersion) {
    return Malformed(source, "version", fmt::format("is not {}", kVersion));
  }
  KitManifest manifest;
  ASSIGN_OR_RETURN(manifest.subject.project, TextAt(object, "project", source));
  ASSIGN_OR_RETURN(manifest.subject.name, TextAt(object, "name", source));
  ASSIGN_OR_RETURN(const std::string role, TextAt(object, "role", source));
  ASSIGN_OR_RETURN(manifest.org, TextAt(object, "org", source));
  ASSIGN_OR_RETURN(manifest.created, TextAt(object, "created", source));
  auto parsed_role = PartyRoleFromString(role);
  if (!parsed_role.has_value()) return Malformed(source, "role", "is none of server, site and admin");
  manifest.subject.role = *parsed_role;
  const auto made_at_site = object.find("key_made_at_site");
  if (made_at_site == object.end() || !made_at_site->is_boolean()) {
    return Malformed(source, "key_made_at_site", "is neither true nor false");
  }
  manifest.key_made_at_site = made_at_site->get<bool>();
  const auto files = object.find("files");
  if (files == object.end() || !files->is_object()) return Malformed(source, "files", "is not there, or not an object");
  for (const auto& [name, sha256] : files->items()) {
    if (!IsPlainFileName(name)) return Malformed(source, Escaped(name), "in 'files' is not a plain file name");
    if (!sha256.is_string()) return Malformed(source, name, "in 'files' is not a string");
    manifest.files.emplace(name, sha256.get<std::string>());
  }
  return manifest;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hasher;
  hasher.Update(bytes);
  return ToHex(hasher.Finish());
}

}  // namespace fed_learn
