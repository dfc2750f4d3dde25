// fedlearn server: runs the server of a federation.

#include "transport/https/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/network_file_system.h"
#include "base/posix_disk.h"
#include "base/secret.h"
#include "base/signal_watcher.h"
#include "identity/kit.h"
#include "server/server_plan.h"
#include "server/sqlite_store.h"
#include "server/tensorboard_journal.h"
#include "tools/fedlearn/common_options.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

struct ServerFlags {
  std::string kit = ".";
  std::string app;
  std::string workspace;
  std::string listen;
  std::int64_t run = 1;
  int ready_fd = -1;
  std::vector<std::string> overrides;
  LogFlags log;
};

std::string WorkspaceOf(const ServerFlags& flags) { return flags.workspace.empty() ? flags.kit : flags.workspace; }

Result<ServerConfig> ReadConfig(Disk& disk, const ServerFlags& flags, const Kit& kit) {
  ASSIGN_OR_RETURN(const AppFile file, ReadAppFile(disk, flags.app, "config_fed_server.json"));
  // Laid out as in the kit's file, so that positions in messages are those of the file.
  const std::string kit_text = kit.config.dump(2);
  ConfigSources sources{.run = {file.text, file.path}, .overrides = flags.overrides};
  sources.kit = ConfigText{kit_text, flags.kit + "/startup/fed_server.json"};
  return ParseServerConfig(sources);
}

HttpsServerOptions LinkOptions(const ServerFlags& flags, const ServerConfig& config, const Kit& kit) {
  return {
      .listen = flags.listen.empty() ? config.target : flags.listen,
      .tls = {
          .ca = kit.root_path, .certificate = kit.certificate_path, .key = kit.key_path, .crl = kit.revocation_path}};
}

// For whoever started this process and waits to connect: the port, once, on a descriptor of theirs.
void TellReady(int fd, std::uint16_t port) {
  if (fd < 0) return;
  const std::string line = fmt::format("{}\n", port);
  if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    LogWarning("--ready-fd {} cannot be written", fd);
  }
  close(fd);
}

// Everything of one server process, in the order in which it must be taken apart, last first.
Result<RunOutcome> Serve(const ServerFlags& flags) {
  PosixDisk disk("");
  AsioLoop loop;
  ASSIGN_OR_RETURN(const Kit kit, LoadKit(disk, flags.kit, {.role = PartyRole::kServer, .now = loop.Wall()}));
  ASSIGN_OR_RETURN(const ServerConfig config, ReadConfig(disk, flags, kit));
  for (const std::string& line : config.ignored) LogInfo("{}", line);

  const std::string workspace = WorkspaceOf(flags);
  RETURN_IF_ERROR(RequireLocalFileSystem(workspace));
  RETURN_IF_ERROR(disk.MakeFolders(workspace));
  ASSIGN_OR_RETURN(const auto lock, disk.Lock(workspace));
  const std::string run_folder = fmt::format("{}/run_{}", workspace, flags.run);
  const Registry registry = BuiltInComponents();
  ASSIGN_OR_RETURN(ServerPlan plan,
                   PlanServer(config, registry, {.disk = &disk, .app_folder = flags.app, .run_folder = run_folder}));
  plan.options.run = flags.run;
  plan.options.folder = run_folder + "/store";
  RETURN_IF_ERROR(disk.MakeFolders(plan.options.folder));
  ASSIGN_OR_RETURN(const auto store, OpenSqliteStore(disk, plan.options.folder, {.system_path = plan.options.folder}));

  std::optional<RunOutcome> outcome;
  bool asked_to_stop = false;
  std::unique_ptr<FederatedServer> server;
  SignalWatcher signals(loop, [&](int) {
    if (std::exchange(asked_to_stop, true) || !server) return loop.Stop();
    LogInfo("asked to stop; what is recorded stays");
    server->GoAway([&] { loop.Stop(); });
  });
  TensorboardJournal journal(disk, loop, run_folder + "/tensorboard");
  ASSIGN_OR_RETURN(const auto link, HttpsServerLink::Create(loop, LinkOptions(flags, config, kit)));
  server = std::make_unique<FederatedServer>(plan.options,
                                             FederatedServerParts{.loop = loop,
                                                                  .link = *link,
                                                                  .store = *store,
                                                                  .disk = disk,
                                                                  .aggregator = std::move(plan.aggregator),
                                                                  .saver = std::move(plan.saver),
                                                                  .first_model = plan.first_model,
                                                                  .pre_processors = std::move(plan.pre_processors),
                                                                  .post_processors = std::move(plan.post_processors),
                                                                  .make_token = RandomToken,
                                                                  .observers = {&journal}});
  RETURN_IF_ERROR(server->Start([&](const RunOutcome& end) {
    outcome = end;
    loop.Stop();
  }));
  LogInfo("serving '{}' on port {}", config.task_name, link->port());
  TellReady(flags.ready_fd, link->port());
  loop.Run();
  if (outcome) return *outcome;
  if (server->ended()) return Cancelled("stopped; the run was over, but not every site had heard so");
  return Cancelled("stopped before the run was over; start the server again to go on");
}

}  // namespace

void AddServerCommand(Program& program) {
  auto* command = program.app.add_subcommand("server", "Run the server of a federation");
  auto flags = std::make_shared<ServerFlags>();
  command->add_option("--kit", flags->kit, "Folder of the server's startup kit")->capture_default_str();
  command->add_option("--app", flags->app, "Folder of the app: config/config_fed_server.json and what it names")
      ->required();
  command->add_option("--run", flags->run, "Run number; an unfinished run goes on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--workspace", flags->workspace, "Where runs are kept (default: the kit's folder)");
  command->add_option("--listen", flags->listen, "address:port instead of the kit's; port 0 takes a free one");
  command->add_option("--ready-fd", flags->ready_fd, "Write the port and a newline to this descriptor once serving");
  command->add_option("--set", flags->overrides, "KEY.PATH=VALUE over config_fed_server.json");
  flags->log.AddTo(*command);
  command->footer("Example:\n  fedlearn server --kit kits/server --app examples/fed_tcga_brca");
  command->callback([&program, flags] {
    flags->log.Start();
    auto outcome = Serve(*flags);
    if (!outcome.has_value()) return program.Fail(outcome.error());
    if (outcome->state != RunState::kCompleted) return program.Fail(Internal("the run ended: " + outcome->why));
    fmt::print("run {} completed: {} rounds, model {}\nits results are in {}/run_{}\n", flags->run, outcome->rounds,
               outcome->model_id, WorkspaceOf(*flags), flags->run);
  });
}

}  // namespace fed_learn
