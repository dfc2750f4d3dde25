// What the server's and the client's configuration have in common: from the texts of files to one checked document, and
// from there to values.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_document.h"
#include "base/json_override.h"
#include "base/json_schema.h"
#include "base/result.h"
#include "components/registry.h"

namespace fed_learn {

struct ConfigText {
  std::string_view text;
  std::string file;  // named in errors; relative paths of TLS files start in its folder
};

// Everything that a configuration is made of.
struct ConfigSources {
  ConfigText run;                      // config_fed_server.json or config_fed_client.json
  std::optional<ConfigText> kit;       // fed_server.json or fed_client.json of the site's startup kit, if it has one
  std::vector<std::string> overrides;  // --set, applied to the run's file
  Variables variables;                 // entries of the environment file
};

// Who gives a key when there is a kit. Keys without a rule are the run's alone.
enum class KitRule {
  kKit,         // the kit alone
  kKitThenRun,  // tuning: the kit if it has the key
  kRunThenKit,  // the run if it has the key
  kEqual,       // either; both and different is an error
  kBoth,        // the site keeps the last word: the reader takes the run's from the document, and then the kit's
};

struct KitKey {
  std::string_view pointer;
  KitRule rule = KitRule::kKit;
};

struct ReadConfig {
  JsonDocument document;             // merged; valid by the schema
  std::optional<JsonDocument> kit;   // as it stands, for kBoth
  std::vector<std::string> ignored;  // "file:line:col: key …": what is accepted and changes nothing, for the log
};

// Parses, applies overrides, expands variables, checks against the schema, merges. InvalidArgument, with its place, for
// what is wrong.
Result<ReadConfig> ReadConfigSources(const ConfigSources& sources, const JsonSchema& schema,
                                     std::span<const KitKey> kit_keys);

// Reads a value into `out`, which stays as it is if there is none. REQUIRES: the schema has checked the type.
template <typename T>
void ReadValue(const JsonDocument& document, std::string_view pointer, T& out) {
  if (const Json* value = document.Get(pointer); value != nullptr) out = value->get<T>();
}

// The same for a time, which is written in seconds.
void ReadSeconds(const JsonDocument& document, std::string_view pointer, std::chrono::duration<double>& out);

// A component, or none if it is absent, {} or disabled. A "path" becomes the spec's name.
// InvalidArgument, with its place, if there is neither name nor path, or a path without a dot.
Result<std::optional<ComponentSpec>> ReadComponent(const JsonDocument& document, std::string_view pointer);

// A list of them, without the disabled ones; an empty entry is an error.
Result<std::vector<ComponentSpec>> ReadComponents(const JsonDocument& document, std::string_view pointer);

// A regular expression (ECMAScript); empty if absent. InvalidArgument, with its place, if it is none.
Result<std::string> ReadPattern(const JsonDocument& document, std::string_view pointer);

// A path; relative ones start in the folder of the file that names them. Empty if absent.
std::string ReadPath(const JsonDocument& document, std::string_view pointer);

// Paths of a party's TLS files; empty where not configured.
struct TlsFiles {
  std::string private_key;
  std::string cert;
  std::string root_cert;
};

// The keys ssl_private_key, ssl_cert and ssl_root_cert of the object at `pointer`.
TlsFiles ReadTlsFiles(const JsonDocument& document, const std::string& pointer);

}  // namespace fed_learn
