#include "components/config_reader.h"

#include <algorithm>
#include <regex>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

std::string Ignored(const JsonDocument& document, std::string_view pointer, std::string_view why) {
  return document.WhereKey(pointer) + ": " + ReadablePointer(pointer) + " " + std::string(why);
}

void NoteWhatHasNoEffect(const JsonDocument& document, const JsonSchema& schema, std::vector<std::string>& ignored) {
  for (const JsonNote& note : schema.Notes(document, "x-without-effect")) {
    ignored.push_back(Ignored(document, note.pointer, "has no effect: " + note.text));
  }
  const Json* servers = document.Get("/servers");
  if (servers != nullptr && servers->size() > 1) {
    ignored.push_back(Ignored(document, "/servers/1", "has no effect: only the first server is used"));
  }
}

Result<JsonDocument> ReadOne(const ConfigText& source, const std::vector<std::string>& overrides,
                             const Variables& variables, const JsonSchema& schema) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(source.text, source.file));
  for (const std::string& assignment : overrides) RETURN_IF_ERROR(ApplyOverride(document, assignment));
  RETURN_IF_ERROR(ExpandVariables(document, variables));
  RETURN_IF_ERROR(schema.Check(document));
  return document;
}

// Whether the kit's value takes the place of the run's.
Result<bool> KitDecides(const JsonDocument& run, const JsonDocument& kit, const KitKey& key) {
  const Json* of_run = run.Get(key.pointer);
  const Json* of_kit = kit.Get(key.pointer);
  switch (key.rule) {
    case KitRule::kKit:
      return true;
    case KitRule::kKitThenRun:
      return of_kit != nullptr;
    case KitRule::kRunThenKit:
      return of_run == nullptr;
    case KitRule::kEqual:
      if (of_run != nullptr && of_kit != nullptr && *of_run != *of_kit) {
        return run.Wrong(key.pointer, "is " + of_run->dump() + ", but the startup kit (" + kit.Where(key.pointer) +
                                          ") says " + of_kit->dump());
      }
      return of_run == nullptr;
    case KitRule::kBoth:
      return false;
  }
  return Internal("no such rule");
}

Status TakeFromKit(JsonDocument& run, const JsonDocument& kit, std::string_view pointer,
                   std::vector<std::string>& ignored) {
  const Json* of_kit = kit.Get(pointer);
  if (const Json* of_run = run.Get(pointer); of_run != nullptr && (of_kit == nullptr || *of_run != *of_kit)) {
    ignored.push_back(Ignored(run, pointer, "is ignored: the startup kit (" + kit.file() + ") decides"));
  }
  run.Erase(pointer);
  return of_kit == nullptr ? Status() : run.CopyFrom(kit, pointer);
}

bool HasRule(std::span<const KitKey> keys, std::string_view pointer) {
  return std::any_of(keys.begin(), keys.end(), [&](const KitKey& key) {
    return key.pointer == pointer || key.pointer.starts_with(std::string(pointer) + "/");
  });
}

// What a kit has no say in.
void NoteKitsOwn(const JsonDocument& kit, std::span<const KitKey> keys, std::vector<std::string>& ignored) {
  for (const std::string section : {"", "/servers/0", "/client"}) {
    const Json* members = kit.Get(section);
    if (members == nullptr || !members->is_object()) continue;
    for (const auto& [key, unused] : members->items()) {
      const std::string pointer = section + "/" + PointerToken(key);
      if (pointer == "/servers" || HasRule(keys, pointer)) continue;
      ignored.push_back(Ignored(kit, pointer, "is ignored: the run's configuration decides"));
    }
  }
}

Result<ComponentSpec> ReadSpec(const JsonDocument& document, const std::string& pointer) {
  ComponentSpec spec;
  ReadValue(document, pointer + "/name", spec.name);
  ReadValue(document, pointer + "/path", spec.name);
  ReadValue(document, pointer + "/args", spec.args);
  if (spec.name.empty()) return document.Wrong(pointer, "a component needs a \"name\" (or a \"path\")");
  if (document.Get(pointer + "/path") != nullptr && spec.name.find('.') == std::string::npos) {
    return document.Wrong(pointer + "/path", "'" + Escaped(spec.name) + "' lacks the module: write module.Class");
  }
  return spec;
}

bool IsDisabled(const JsonDocument& document, const std::string& pointer) {
  bool disabled = false;
  ReadValue(document, pointer + "/disabled", disabled);
  return disabled;
}

}  // namespace

Result<ReadConfig> ReadConfigSources(const ConfigSources& sources, const JsonSchema& schema,
                                     std::span<const KitKey> kit_keys) {
  ASSIGN_OR_RETURN(JsonDocument run, ReadOne(sources.run, sources.overrides, sources.variables, schema));
  ReadConfig config{.document = std::move(run), .kit = std::nullopt, .ignored = {}};
  NoteWhatHasNoEffect(config.document, schema, config.ignored);
  if (!sources.kit) return config;

  ASSIGN_OR_RETURN(config.kit, ReadOne(*sources.kit, {}, sources.variables, schema));
  NoteWhatHasNoEffect(*config.kit, schema, config.ignored);
  NoteKitsOwn(*config.kit, kit_keys, config.ignored);
  if (config.document.Get("/servers/0") == nullptr) {
    RETURN_IF_ERROR(config.document.Set("/servers", Json::array({Json::object()}), config.document.file()));
  }
  for (const KitKey& key : kit_keys) {
    ASSIGN_OR_RETURN(const bool kit_decides, KitDecides(config.document, *config.kit, key));
    if (kit_decides) RETURN_IF_ERROR(TakeFromKit(config.document, *config.kit, key.pointer, config.ignored));
  }
  return config;
}

void ReadSeconds(const JsonDocument& document, std::string_view pointer, std::chrono::duration<double>& out) {
  if (const Json* value = document.Get(pointer); value != nullptr) {
    out = std::chrono::duration<double>(value->get<double>());
  }
}

Result<std::optional<ComponentSpec>> ReadComponent(const JsonDocument& document, std::string_view pointer) {
  const Json* value = document.Get(pointer);
  const std::string at(pointer);
  if (value == nullptr || value->empty() || IsDisabled(document, at)) return std::optional<ComponentSpec>();
  ASSIGN_OR_RETURN(ComponentSpec spec, ReadSpec(document, at));
  return std::optional(std::move(spec));
}

Result<std::vector<ComponentSpec>> ReadComponents(const JsonDocument& document, std::string_view pointer) {
  std::vector<ComponentSpec> specs;
  const Json* list = document.Get(pointer);
  const std::size_t size = list == nullptr ? 0 : list->size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::string at = std::string(pointer) + "/" + std::to_string(i);
    if (IsDisabled(document, at)) continue;
    ASSIGN_OR_RETURN(ComponentSpec spec, ReadSpec(document, at));
    specs.push_back(std::move(spec));
  }
  return specs;
}

Result<std::string> ReadPattern(const JsonDocument& document, std::string_view pointer) {
  std::string pattern;
  ReadValue(document, pointer, pattern);
  try {
    const std::regex compiled(pattern);
  } catch (const std::regex_error& error) {
    return document.Wrong(pointer, "'" + Escaped(pattern) + "' is no regular expression: " + error.what());
  }
  return pattern;
}

std::string ReadPath(const JsonDocument& document, std::string_view pointer) {
  std::string path;
  ReadValue(document, pointer, path);
  if (path.empty() || path.starts_with('/')) return path;
  const std::string_view file = document.FileOf(pointer);
  const auto slash = file.rfind('/');
  return slash == std::string_view::npos ? path : std::string(file.substr(0, slash + 1)) + path;
}

TlsFiles ReadTlsFiles(const JsonDocument& document, const std::string& pointer) {
  return {.private_key = ReadPath(document, pointer + "/ssl_private_key"),
          .cert = ReadPath(document, pointer + "/ssl_cert"),
          .root_cert = ReadPath(document, pointer + "/ssl_root_cert")};
}

}  // namespace fed_learn
