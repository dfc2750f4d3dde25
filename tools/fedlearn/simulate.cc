// fedlearn simulate: an app's whole federation in one process.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/posix_disk.h"
#include "demo/export_model.h"
#include "server/tensorboard_journal.h"
#include "simulate/app_simulation.h"
#include "tools/fedlearn/common_options.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

struct SimulateFlags {
  std::string app;
  std::string output;
  std::string site_prefix = "site_";
  int sites = 0;
  std::string clock = "real";
  std::vector<std::string> server_overrides;
  std::vector<std::string> client_overrides;
  bool json = false;
  LogFlags log{.level = "warning"};
};

// Prints a line a round.
class RoundPrinter : public ServerObserver {
 public:
  void OnRoundRecorded(const RoundRecord& round, const ModelData&) override {
    if (round.sites.empty()) return;
    std::string metrics;
    for (const auto& [name, value] : round.metrics["mean"].items()) {
      metrics += fmt::format("  {} {:.4f}", name, value.get<double>());
    }
    fmt::print("round {:3}  {} sites  {:6.2f} s{}\n", round.round, round.sites.size(), round.seconds, metrics);
    std::fflush(stdout);
  }
};

Result<AppSimulationOptions> ReadOptions(Disk& disk, const SimulateFlags& flags) {
  AppSimulationOptions options{.app_folder = flags.app, .run_folder = flags.output};
  ASSIGN_OR_RETURN(const AppFile server, ReadAppFile(disk, flags.app, "config_fed_server.json"));
  ASSIGN_OR_RETURN(const AppFile client, ReadAppFile(disk, flags.app, "config_fed_client.json"));
  ASSIGN_OR_RETURN(options.server,
                   ParseServerConfig({.run = {server.text, server.path}, .overrides = flags.server_overrides}));
  ASSIGN_OR_RETURN(options.client,
                   ParseClientConfig({.run = {client.text, client.path}, .overrides = flags.client_overrides}));
  const int sites = flags.sites > 0 ? flags.sites : options.server.min_num_clients;
  for (int site = 0; site < sites; ++site) options.sites.push_back(flags.site_prefix + std::to_string(site));
  options.clock = flags.clock == "real" ? SimulationClock::kReal : SimulationClock::kSimulated;
  return options;
}

Result<int> Simulate(const SimulateFlags& flags) {
  PosixDisk disk("");
  AsioLoop clock;
  ASSIGN_OR_RETURN(const AppSimulationOptions options, ReadOptions(disk, flags));
  RETURN_IF_ERROR(disk.MakeFolders(flags.output));
  ASSIGN_OR_RETURN(const auto lock, disk.Lock(flags.output));
  RoundPrinter printer;
  TensorboardJournal journal(disk, clock, flags.output + "/tensorboard");
  std::vector<ServerObserver*> observers = {&journal};
  if (!flags.json) observers.push_back(&printer);
  const auto began = clock.Now();
  ASSIGN_OR_RETURN(const RunOutcome outcome, SimulateApp(options, BuiltInComponents(), disk, observers));
  const double seconds = std::chrono::duration<double>(clock.Now() - began).count();
  ASSIGN_OR_RETURN(const ExportedModel exported,
                   ExportModel(disk, flags.output + "/store", outcome.model_id, flags.output));
  if (flags.json) {
    const Json summary = {{"sites", options.sites.size()}, {"rounds", outcome.rounds},
                          {"seed", options.server.seed},   {"seconds", seconds},
                          {"model", outcome.model_id},     {"model_sha256", exported.sha256}};
    fmt::print("{}\n", summary.dump(2));
  } else {
    fmt::print("{} sites, {} rounds, {:.2f} s; results in {}\nmodel_sha256 {}\n", options.sites.size(), outcome.rounds,
               seconds, flags.output, exported.sha256);
  }
  return kDone;
}

}  // namespace

void AddSimulateCommand(Program& program) {
  auto* command = program.app.add_subcommand("simulate", "Run an app's whole federation in one process");
  auto flags = std::make_shared<SimulateFlags>();
  command->add_option("app", flags->app, "Folder of the app")->required();
  command->add_option("-o,--output", flags->output, "Folder for the results; an unfinished run there goes on")
      ->default_str("simulated/<app>");
  command->add_option("--sites", flags->sites, "How many sites (default: min_num_clients)")->check(CLI::PositiveNumber);
  command->add_option("--site-prefix", flags->site_prefix, "Sites are called PREFIX0, PREFIX1, …")
      ->capture_default_str();
  command->add_option("--clock", flags->clock, "real: sites train side by side; simulated: one thread, no waiting")
      ->check(CLI::IsMember({"real", "simulated"}))
      ->capture_default_str();
  command->add_option("--set", flags->server_overrides, "KEY.PATH=VALUE over config_fed_server.json");
  command->add_option("--set-client", flags->client_overrides, "KEY.PATH=VALUE over config_fed_client.json");
  command->add_flag("--json", flags->json, "Print a summary as JSON and nothing else");
  flags->log.AddTo(*command);
  command->footer("Example:\n  fedlearn simulate examples/fed_tcga_brca --site-prefix region_ --set seed=7");
  command->callback([&program, flags] {
    flags->log.Start();
    if (flags->output.empty()) {
      std::string app = flags->app;
      while (app.ends_with('/')) app.pop_back();
      flags->output = "simulated/" + app.substr(app.rfind('/') + 1);
    }
    auto exit_code = Simulate(*flags);
    if (!exit_code.has_value()) return program.Fail(exit_code.error());
    program.exit_code = *exit_code;
  });
}

}  // namespace fed_learn
