// ClientConfig: config_fed_client.json (Clara's keys and ours), checked and typed. Every key: docs/configuration.md.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_schema.h"
#include "base/result.h"
#include "components/config_reader.h"
#include "components/registry.h"

namespace fed_learn {

struct ClientConfig {
  std::string task_name;
  std::string target;  // host:port of the server; empty if not configured, as in a simulation
  TlsFiles tls;

  int local_epochs = 1;
  int steps_aggregation = 0;              // above 0: steps of a round, whatever local_epochs says
  std::vector<std::string> exclude_vars;  // regular expressions, the run's and the site's; all of them hold
  bool cross_site_validate = false;
  std::chrono::duration<double> retry_timeout{7200};
  std::chrono::duration<double> trainer_stall_timeout{600};

  std::optional<ComponentSpec> trainer;
  std::vector<ComponentSpec> privacy;  // protocols in the order of their application: the run's, then the site's
  std::vector<ComponentSpec> pre_processors;
  std::vector<ComponentSpec> post_processors;
  std::vector<ComponentSpec> req_processors;
  std::vector<ComponentSpec> client_state_processors;
  std::optional<ComponentSpec> model_reader_writer;
  std::optional<ComponentSpec> model_validator;

  std::vector<std::string> ignored;  // lines for the log: keys that are accepted and change nothing
};

// InvalidArgument "file:line:column: …" for the first thing that is wrong, with the nearest valid key where one is
// unknown. With a kit, the kit decides over network, TLS and tuning, the run's file over the rest; privacy and
// exclude_vars of the kit cannot be taken away by the run's.
Result<ClientConfig> ParseClientConfig(const ConfigSources& sources);
Result<ClientConfig> ParseClientConfig(std::string_view text, std::string file);

// The schema that ships as schemas/config_fed_client.schema.json.
const JsonSchema& ClientConfigSchema();

}  // namespace fed_learn
