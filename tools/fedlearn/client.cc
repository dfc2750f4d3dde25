// fedlearn client: runs the client of a site.

#include "transport/https/client.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/posix_disk.h"
#include "base/signal_watcher.h"
#include "base/thread_worker.h"
#include "client/client_plan.h"
#include "identity/kit.h"
#include "tools/fedlearn/common_options.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

struct ClientFlags {
  std::string kit = ".";
  std::string app;
  std::string workspace;
  std::string server;
  std::string proxy;
  std::vector<std::string> overrides;
  LogFlags log;
};

Result<ClientConfig> ReadConfig(Disk& disk, const ClientFlags& flags, const Kit& kit) {
  ASSIGN_OR_RETURN(const AppFile file, ReadAppFile(disk, flags.app, "config_fed_client.json"));
  // Laid out as in the kit's file, so that positions in messages are those of the file.
  const std::string kit_text = kit.config.dump(2);
  ConfigSources sources{.run = {file.text, file.path}, .overrides = flags.overrides};
  sources.kit = ConfigText{kit_text, flags.kit + "/startup/fed_client.json"};
  return ParseClientConfig(sources);
}

HttpsClientOptions LinkOptions(const ClientFlags& flags, const ClientConfig& config, const Kit& kit) {
  return {.server = flags.server.empty() ? config.target : flags.server,
          .proxy = flags.proxy,
          .tls = {.ca = kit.root_path, .certificate = kit.certificate_path, .key = kit.key_path}};
}

Result<ClientOutcome> TakePart(const ClientFlags& flags) {
  PosixDisk disk("");
  AsioLoop loop;
  ASSIGN_OR_RETURN(const Kit kit, LoadKit(disk, flags.kit, {.role = PartyRole::kSite, .now = loop.Wall()}));
  ASSIGN_OR_RETURN(const ClientConfig config, ReadConfig(disk, flags, kit));
  for (const std::string& line : config.ignored) LogInfo("{}", line);

  const std::string workspace = flags.workspace.empty() ? flags.kit : flags.workspace;
  RETURN_IF_ERROR(disk.MakeFolders(workspace));
  ASSIGN_OR_RETURN(const auto lock, disk.Lock(workspace));
  const Registry registry = BuiltInComponents();
  ASSIGN_OR_RETURN(ClientPlan plan,
                   PlanClient(config, registry, {.disk = &disk, .app_folder = flags.app, .run_folder = workspace}));
  plan.options.site = kit.subject.name;
  plan.options.folder = workspace + "/state";
  plan.options.jitter_seed = static_cast<std::uint64_t>(loop.Wall().time_since_epoch().count());

  std::optional<ClientOutcome> outcome;
  std::unique_ptr<FederatedClient> client;
  SignalWatcher signals(loop, [&](int) {
    if (outcome || !client) return loop.Stop();
    client->Leave("asked to stop");
  });
  ASSIGN_OR_RETURN(const auto link, HttpsClientLink::Create(loop, LinkOptions(flags, config, kit)));
  // The worker is declared after the client, so that it stops first: its work uses the client.
  auto worker = std::make_unique<ThreadWorker>(loop);
  ASSIGN_OR_RETURN(client, FederatedClient::Create(plan.options, {.loop = loop,
                                                                  .link = *link,
                                                                  .disk = disk,
                                                                  .worker = *worker,
                                                                  .fitter = *plan.fitter,
                                                                  .pre_processors = std::move(plan.pre_processors),
                                                                  .post_processors = std::move(plan.post_processors)}));
  RETURN_IF_ERROR(client->Start([&](const ClientOutcome& end) {
    outcome = end;
    loop.Stop();
  }));
  loop.Run();
  worker.reset();
  plan.fitter->Close();
  return outcome ? *outcome : ClientOutcome{false, "stopped"};
}

}  // namespace

void AddClientCommand(Program& program) {
  auto* command = program.app.add_subcommand("client", "Run the client of a site");
  auto flags = std::make_shared<ClientFlags>();
  command->add_option("--kit", flags->kit, "Folder of the site's startup kit")->capture_default_str();
  command->add_option("--app", flags->app, "Folder of the app: config/config_fed_client.json and what it names");
  command->add_option("--workspace", flags->workspace, "Where the client keeps its state (default: the kit's folder)");
  command->add_option("--server", flags->server, "host:port instead of the kit's");
  command->add_option("--proxy", flags->proxy, "host:port of an HTTP proxy that the connection goes through");
  command->add_option("--set", flags->overrides, "KEY.PATH=VALUE over config_fed_client.json");
  flags->log.AddTo(*command);
  command->footer("Example:\n  fedlearn client --kit kits/region_0 --app examples/fed_tcga_brca");
  AddEnrollCommand(program, *command);
  command->callback([&program, command, flags] {
    if (!command->get_subcommands().empty()) return;
    flags->log.Start();
    if (flags->app.empty()) return program.Fail(InvalidArgument("--app is required; try fedlearn client --help"));
    auto outcome = TakePart(*flags);
    if (!outcome.has_value()) return program.Fail(outcome.error());
    if (!outcome->completed) return program.Fail(Internal("the run did not complete here: " + outcome->why));
    fmt::print("the run has completed\n");
  });
}

}  // namespace fed_learn
