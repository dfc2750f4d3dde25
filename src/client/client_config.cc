#include "client/client_config.h"

#include <array>
#include <utility>

#include "embedded/config_fed_client.schema.json.h"

namespace fed_learn {
namespace {

constexpr std::array<KitKey, 10> kKitKeys = {{
    {"/servers/0/name", KitRule::kEqual},
    {"/servers/0/service/target", KitRule::kKit},
    {"/servers/0/service/options", KitRule::kKitThenRun},
    {"/client/ssl_private_key", KitRule::kKit},
    {"/client/ssl_cert", KitRule::kKit},
    {"/client/ssl_root_cert", KitRule::kKit},
    {"/client/retry_timeout", KitRule::kKitThenRun},
    {"/client/compression", KitRule::kKitThenRun},
    {"/client/privacy", KitRule::kBoth},
    {"/client/exclude_vars", KitRule::kBoth},
}};

// The protocol and the exclusion of one file.
Status AddSitesRules(const JsonDocument& document, ClientConfig& config) {
  ASSIGN_OR_RETURN(auto privacy, ReadComponent(document, "/client/privacy"));
  if (privacy) config.privacy.push_back(*std::move(privacy));
  ASSIGN_OR_RETURN(std::string pattern, ReadPattern(document, "/client/exclude_vars"));
  if (!pattern.empty()) config.exclude_vars.push_back(std::move(pattern));
  return {};
}

Status ReadClientComponents(const JsonDocument& document, ClientConfig& config) {
  ASSIGN_OR_RETURN(config.trainer, ReadComponent(document, "/client/trainer"));
  ASSIGN_OR_RETURN(config.pre_processors, ReadComponents(document, "/client/pre_processors"));
  ASSIGN_OR_RETURN(config.post_processors, ReadComponents(document, "/client/post_processors"));
  ASSIGN_OR_RETURN(config.req_processors, ReadComponents(document, "/client/req_processors"));
  ASSIGN_OR_RETURN(config.client_state_processors, ReadComponents(document, "/client/client_state_processors"));
  ASSIGN_OR_RETURN(config.model_reader_writer, ReadComponent(document, "/client/model_reader_writer"));
  ASSIGN_OR_RETURN(config.model_validator, ReadComponent(document, "/client/model_validator"));
  return {};
}

}  // namespace

const JsonSchema& ClientConfigSchema() {
  static const JsonSchema schema =
      JsonSchema::Parse(kConfigFedClientSchema, "schemas/config_fed_client.schema.json").value();
  return schema;
}

Result<ClientConfig> ParseClientConfig(const ConfigSources& sources) {
  ASSIGN_OR_RETURN(ReadConfig read, ReadConfigSources(sources, ClientConfigSchema(), kKitKeys));
  const JsonDocument& document = read.document;
  ClientConfig config;
  if (document.Get("/servers/0/name") == nullptr) {
    return document.Wrong("/servers/0", "the key 'name' is missing");
  }
  ReadValue(document, "/servers/0/name", config.task_name);
  ReadValue(document, "/servers/0/service/target", config.target);
  config.tls = ReadTlsFiles(document, "/client");
  ReadValue(document, "/client/local_epochs", config.local_epochs);
  ReadValue(document, "/client/steps_aggregation", config.steps_aggregation);
  ReadValue(document, "/client/cross_site_validate", config.cross_site_validate);
  ReadSeconds(document, "/client/retry_timeout", config.retry_timeout);
  ReadSeconds(document, "/client/trainer_stall_timeout", config.trainer_stall_timeout);
  RETURN_IF_ERROR(ReadClientComponents(document, config));
  RETURN_IF_ERROR(AddSitesRules(document, config));
  if (read.kit) RETURN_IF_ERROR(AddSitesRules(*read.kit, config));
  config.ignored = std::move(read.ignored);
  return config;
}

Result<ClientConfig> ParseClientConfig(std::string_view text, std::string file) {
  return ParseClientConfig(ConfigSources{.run = {text, std::move(file)}, .kit = {}, .overrides = {}, .variables = {}});
}

}  // namespace fed_learn
