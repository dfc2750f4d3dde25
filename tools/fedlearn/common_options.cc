#include "tools/fedlearn/common_options.h"

#include "aggregation/components.h"
#include "base/log.h"
#include "client/components.h"
#include "formats/components.h"
#include "trainers/components.h"

namespace fed_learn {

constexpr std::uint64_t kConfigBytesMax = 16 << 20;

void LogFlags::AddTo(CLI::App& command) {
  command.add_option("--log-format", format, "How log lines look")
      ->check(CLI::IsMember({"human", "json"}))
      ->capture_default_str();
  command.add_option("--log-level", level, "The least that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  command.add_option("--log-file", file, "Also append the log to this file");
}

void LogFlags::Start() const {
  LogOptions options{.format = format == "json" ? LogFormat::kJson : LogFormat::kHuman, .file = file};
  options.level = level == "debug"     ? LogLevel::kDebug
                  : level == "warning" ? LogLevel::kWarning
                  : level == "error"   ? LogLevel::kError
                  : level == "off"     ? LogLevel::kOff
                                       : LogLevel::kInfo;
  StartLog(options);
}

Registry BuiltInComponents() {
  Registry registry;
  RegisterAggregationComponents(registry);
  RegisterFormatsComponents(registry);
  RegisterTrainersComponents(registry);
  RegisterClientComponents(registry);
  return registry;
}

Result<AppFile> ReadAppFile(Disk& disk, const std::string& app_folder, const std::string& name) {
  for (const std::string& path : {app_folder + "/config/" + name, app_folder + "/" + name}) {
    ASSIGN_OR_RETURN(const bool exists, disk.Exists(path));
    if (!exists) continue;
    ASSIGN_OR_RETURN(std::string text, ReadFile(disk, path, kConfigBytesMax));
    return AppFile{path, std::move(text)};
  }
  return NotFound("'" + app_folder + "' has no config/" + name + "; name the folder of an app with --app");
}

}  // namespace fed_learn
