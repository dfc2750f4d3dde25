// ServerConfig: config_fed_server.json (Clara's keys and ours), checked and typed. Every key: docs/configuration.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_schema.h"
#include "base/result.h"
#include "components/config_reader.h"
#include "components/registry.h"

namespace fed_learn {

struct ServerConfig {
  std::string task_name;
  std::string target = "0.0.0.0:6007";  // host:port to listen on
  TlsFiles tls;

  int min_num_clients = 2;
  int max_num_clients = 100;
  std::chrono::duration<double> wait_after_min_clients{10};
  std::chrono::duration<double> heart_beat_timeout{600};
  std::optional<std::chrono::duration<double>> round_timeout;  // absent: none
  int start_round = 0;
  int num_rounds = 0;  // the round number that ends the run; -1: none does
  std::uint64_t seed = 0;
  std::string exclude_vars;  // a regular expression; empty: none
  bool validate_on_server = false;
  int num_rounds_per_valid = 1;

  std::optional<ComponentSpec> model;
  ComponentSpec aggregator{.name = "ModelAggregator"};
  std::optional<ComponentSpec> model_saver;
  std::vector<ComponentSpec> pre_processors;
  std::vector<ComponentSpec> post_processors;
  std::vector<ComponentSpec> admin_cmd_modules;
  std::vector<ComponentSpec> result_processors;
  std::vector<ComponentSpec> handlers;

  // SHA-256 of everything that decides the model: not of addresses, keys, admin modules, max_num_clients,
  // heart_beat_timeout and what has no effect.
  std::string sha256;

  std::vector<std::string> ignored;  // lines for the log: keys that are accepted and change nothing
};

// InvalidArgument "file:line:column: …" for the first thing that is wrong, with the nearest valid key where one is
// unknown. With a kit, the kit decides over network, TLS and tuning, the run's file over the rest.
Result<ServerConfig> ParseServerConfig(const ConfigSources& sources);
Result<ServerConfig> ParseServerConfig(std::string_view text, std::string file);

// The schema that ships as schemas/config_fed_server.schema.json.
const JsonSchema& ServerConfigSchema();

}  // namespace fed_learn
