#include "server/server_config.h"

#include <array>
#include <utility>

#include "base/hash.h"
#include "embedded/config_fed_server.schema.json.h"

namespace fed_learn {
namespace {

constexpr std::array<KitKey, 14> kKitKeys = {{
    {"/servers/0/name", KitRule::kEqual},
    {"/servers/0/service/target", KitRule::kKit},
    {"/servers/0/service/options", KitRule::kKitThenRun},
    {"/servers/0/ssl_private_key", KitRule::kKit},
    {"/servers/0/ssl_cert", KitRule::kKit},
    {"/servers/0/ssl_root_cert", KitRule::kKit},
    {"/servers/0/admin_host", KitRule::kKit},
    {"/servers/0/admin_port", KitRule::kKit},
    {"/servers/0/admin_storage", KitRule::kKit},
    {"/servers/0/min_num_clients", KitRule::kRunThenKit},
    {"/servers/0/max_num_clients", KitRule::kKitThenRun},
    {"/servers/0/heart_beat_timeout", KitRule::kKitThenRun},
    {"/servers/0/num_server_workers", KitRule::kKitThenRun},
    {"/servers/0/compression", KitRule::kKitThenRun},
}};

// What a restart may change without touching the model.
constexpr std::array kNotOfTheModel = {
    "/servers/0/service",         "/servers/0/ssl_private_key",    "/servers/0/ssl_cert",
    "/servers/0/ssl_root_cert",   "/servers/0/admin_host",         "/servers/0/admin_port",
    "/servers/0/admin_storage",   "/servers/0/compression",        "/servers/0/num_server_workers",
    "/servers/0/max_num_clients", "/servers/0/heart_beat_timeout", "/admin_cmd_modules",
    "/result_processors",
};

std::string Sha256OfTraining(JsonDocument document) {
  for (const char* pointer : kNotOfTheModel) document.Erase(pointer);
  Sha256 hash;
  hash.Update(document.json().dump());
  return ToHex(hash.Finish());
}

Status ReadServer(const JsonDocument& document, ServerConfig& config) {
  const std::string server = "/servers/0";
  for (const std::string key : {"name", "num_rounds"}) {
    if (document.Get(server + "/" + key) == nullptr) {
      return document.Wrong(server, "the key '" + key + "' is missing");
    }
  }
  ReadValue(document, server + "/name", config.task_name);
  ReadValue(document, server + "/service/target", config.target);
  config.tls = ReadTlsFiles(document, server);
  ReadValue(document, server + "/min_num_clients", config.min_num_clients);
  ReadValue(document, server + "/max_num_clients", config.max_num_clients);
  ReadSeconds(document, server + "/wait_after_min_clients", config.wait_after_min_clients);
  ReadSeconds(document, server + "/heart_beat_timeout", config.heart_beat_timeout);
  if (document.Get(server + "/round_timeout") != nullptr) {
    ReadSeconds(document, server + "/round_timeout", config.round_timeout.emplace());
  }
  ReadValue(document, server + "/start_round", config.start_round);
  ReadValue(document, server + "/num_rounds", config.num_rounds);
  ReadValue(document, server + "/validate_on_server", config.validate_on_server);
  ReadValue(document, server + "/num_rounds_per_valid", config.num_rounds_per_valid);
  ASSIGN_OR_RETURN(config.exclude_vars, ReadPattern(document, server + "/exclude_vars"));
  return {};
}

// Values that are fine by themselves and impossible together.
Status CheckTogether(const JsonDocument& document, const ServerConfig& config) {
  const std::string server = "/servers/0/";
  if (config.max_num_clients < config.min_num_clients) {
    const bool has_max = document.Get(server + "max_num_clients") != nullptr;
    return document.Wrong(server + (has_max ? "max_num_clients" : "min_num_clients"),
                          "no round could ever close: max_num_clients is " + std::to_string(config.max_num_clients) +
                              (has_max ? "" : " by default") + ", min_num_clients " +
                              std::to_string(config.min_num_clients));
  }
  if (config.num_rounds != -1 && config.num_rounds < config.start_round) {
    return document.Wrong(server + "num_rounds", "is " + std::to_string(config.num_rounds) +
                                                     ", a round number before start_round, which is " +
                                                     std::to_string(config.start_round));
  }
  return {};
}

Status ReadServerComponents(const JsonDocument& document, ServerConfig& config) {
  ASSIGN_OR_RETURN(config.model, ReadComponent(document, "/model"));
  ASSIGN_OR_RETURN(auto aggregator, ReadComponent(document, "/aggregator"));
  if (aggregator) config.aggregator = *std::move(aggregator);
  ASSIGN_OR_RETURN(config.model_saver, ReadComponent(document, "/model_saver"));
  ASSIGN_OR_RETURN(config.pre_processors, ReadComponents(document, "/pre_processors"));
  ASSIGN_OR_RETURN(config.post_processors, ReadComponents(document, "/post_processors"));
  ASSIGN_OR_RETURN(config.admin_cmd_modules, ReadComponents(document, "/admin_cmd_modules"));
  ASSIGN_OR_RETURN(config.result_processors, ReadComponents(document, "/result_processors"));
  ASSIGN_OR_RETURN(config.handlers, ReadComponents(document, "/handlers"));
  return {};
}

}  // namespace

const JsonSchema& ServerConfigSchema() {
  static const JsonSchema schema =
      JsonSchema::Parse(kConfigFedServerSchema, "schemas/config_fed_server.schema.json").value();
  return schema;
}

Result<ServerConfig> ParseServerConfig(const ConfigSources& sources) {
  ASSIGN_OR_RETURN(ReadConfig read, ReadConfigSources(sources, ServerConfigSchema(), kKitKeys));
  ServerConfig config;
  RETURN_IF_ERROR(ReadServer(read.document, config));
  ReadValue(read.document, "/seed", config.seed);
  RETURN_IF_ERROR(CheckTogether(read.document, config));
  RETURN_IF_ERROR(ReadServerComponents(read.document, config));
  config.sha256 = Sha256OfTraining(read.document);
  config.ignored = std::move(read.ignored);
  return config;
}

Result<ServerConfig> ParseServerConfig(std::string_view text, std::string file) {
  return ParseServerConfig(ConfigSources{.run = {text, std::move(file)}, .kit = {}, .overrides = {}, .variables = {}});
}

}  // namespace fed_learn
