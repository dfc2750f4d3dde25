#include "demo/demo.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "client/client_config.h"
#include "demo/comparison.h"
#include "demo/demo_results.h"
#include "demo/export_model.h"
#include "demo/round_table.h"
#include "demo/service_process.h"
#include "demo/status_watcher.h"
#include "demo/terminal.h"
#include "formats/model_file.h"
#include "identity/kit.h"
#include "provision/provision.h"
#include "server/server_plan.h"
#include "server/sqlite_store.h"
#include "simulate/app_simulation.h"
#include "transport/asio_loop.h"
#include "transport/https/client.h"

namespace fed_learn {
namespace {

constexpr char kAdmin[] = "admin@localhost";
constexpr int kLogLinesShown = 12;
constexpr std::uint64_t kConfigBytesMax = 16 << 20;

struct App {
  ServerConfig server;
  ClientConfig client;
  std::vector<std::string> sites;
  Json comparison;                     // the app's comparison.json: how to train alone, and what others published
  std::vector<std::string> overrides;  // of the server's configuration
};

Result<Json> ReadJson(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, path, kConfigBytesMax));
  return ParseJson(text, path);
}

Result<App> ReadApp(Disk& disk, const DemoOptions& options) {
  App app;
  app.overrides = {fmt::format("seed={}", options.seed), fmt::format("model.args.seed={}", options.seed)};
  const std::string server = options.app + "/config/config_fed_server.json";
  const std::string client = options.app + "/config/config_fed_client.json";
  ASSIGN_OR_RETURN(const std::string server_text, ReadFile(disk, server, kConfigBytesMax));
  ASSIGN_OR_RETURN(const std::string client_text, ReadFile(disk, client, kConfigBytesMax));
  ASSIGN_OR_RETURN(app.server, ParseServerConfig({.run = {server_text, server}, .overrides = app.overrides}));
  ASSIGN_OR_RETURN(app.client, ParseClientConfig({.run = {client_text, client}}));
  ASSIGN_OR_RETURN(app.comparison, ReadJson(disk, options.app + "/comparison.json"));
  for (const auto& [site, args] : app.client.trainer->args["sites"].items()) app.sites.push_back(site);
  return app;
}

// ---- the processes --------------------------------------------------------------------------------------------------

Result<std::string> MakeKits(Disk& disk, const DemoOptions& options, const App& app, WallTime now) {
  std::string text =
      fmt::format("name: {}\nserver:\n  host: localhost\n  alt_names: [127.0.0.1]\n  org: demo\nfl_clients:\n",
                  app.server.task_name);
  for (const std::string& site : app.sites) text += fmt::format("  - {{client_name: {}, org: {}}}\n", site, site);
  text += fmt::format("admin_clients:\n  - {{email: {}, org: demo}}\n", kAdmin);
  ASSIGN_OR_RETURN(const Project project, ParseProject(text, "the demo's project"));
  const std::string kits = options.work + "/kits";
  RETURN_IF_ERROR(Provision(disk, project, {.out = kits, .now = now}));
  return kits;
}

// One server and its sites, until all of them have ended.
class Processes {
 public:
  Processes(const DemoOptions& options, const App& app, std::string kits, AsioLoop& loop)
      : options_(options), app_(app), kits_(std::move(kits)), loop_(loop) {}

  Result<std::string> StartServer() {
    std::vector<std::string> command = {options_.program, "server",     "--kit",       kits_ + "/server",
                                        "--app",          options_.app, "--workspace", options_.work + "/server",
                                        "--listen",       "127.0.0.1:0"};
    for (const std::string& entry : app_.overrides) command.insert(command.end(), {"--set", entry});
    RETURN_IF_ERROR(Start("server", std::move(command), true));
    auto port = processes_.front()->Ready();
    if (!port.has_value())
      return Internal("the server did not come up:\n" + LastLines(LogOf("server"), kLogLinesShown));
    return "127.0.0.1:" + *port;
  }

  Status StartSites(const std::string& address) {
    for (const std::string& site : app_.sites) {
      RETURN_IF_ERROR(Start(site,
                            {options_.program, "client", "--kit", kits_ + "/" + site, "--app", options_.app, "--server",
                             address, "--workspace", options_.work + "/" + site},
                            false));
    }
    return {};
  }

  // The error of the first one that failed.
  Status Wait() {
    loop_.Run();
    if (failed_.empty()) return {};
    return Internal(fmt::format("{} ended with {}; its last lines:\n{}", failed_, failed_code_,
                                LastLines(LogOf(failed_), kLogLinesShown)));
  }

 private:
  std::string LogOf(const std::string& name) const { return options_.work + "/" + name + ".log"; }

  Status Start(const std::string& name, std::vector<std::string> command, bool tells_when_ready) {
    ASSIGN_OR_RETURN(auto process,
                     ServiceProcess::Start(
                         {.command = std::move(command), .log_file = LogOf(name), .tells_when_ready = tells_when_ready},
                         loop_, [this, name](int code) { OnExit(name, code); }));
    processes_.push_back(std::move(process));
    ++running_;
    return {};
  }

  void OnExit(const std::string& name, int code) {
    --running_;
    if (code != 0 && failed_.empty()) {
      failed_ = name;
      failed_code_ = code;
    }
    if (running_ == 0 || !failed_.empty()) loop_.Stop();
  }

  const DemoOptions& options_;
  const App& app_;
  std::string kits_;
  AsioLoop& loop_;
  std::vector<std::unique_ptr<ServiceProcess>> processes_;
  int running_ = 0;
  std::string failed_;
  int failed_code_ = 0;
};

// Shows the run while it lasts.
class LiveView {
 public:
  LiveView(Terminal& terminal, const Loop& loop) : terminal_(terminal), loop_(loop), began_(loop.Now()) {}

  void OnStatus(const Json& status) {
    const RoundTableOptions options{.columns = terminal_.columns()};
    terminal_.Redraw(RoundTable(status, seconds(), options));
    const int round = status.value("round", -1);
    if (!terminal_.live() && round != std::exchange(last_round_, round)) terminal_.Print(RoundLine(status, options));
  }

  double seconds() const { return std::chrono::duration<double>(loop_.Now() - began_).count(); }

 private:
  Terminal& terminal_;
  const Loop& loop_;
  MonotonicTime began_;
  int last_round_ = -1;
};

struct Federated {
  std::vector<RoundRecord> rounds;
  double seconds = 0;
  Json tls;
};

Result<Federated> RunProcesses(const DemoOptions& options, const App& app, const std::string& kits, Terminal& terminal,
                               Disk& disk, AsioLoop& loop) {
  LiveView view(terminal, loop);
  Processes processes(options, app, kits, loop);
  ASSIGN_OR_RETURN(const std::string address, processes.StartServer());
  ASSIGN_OR_RETURN(const Kit admin,
                   LoadKit(disk, kits + "/" + kAdmin, {.role = PartyRole::kAdmin, .now = loop.Wall()}));
  ASSIGN_OR_RETURN(
      const auto link,
      HttpsClientLink::Create(
          loop, {.server = address,
                 .tls = {.ca = admin.root_path, .certificate = admin.certificate_path, .key = admin.key_path}}));
  Federated federated;
  StatusWatcher watcher(*link, {.on_status = [&](const Json& status) { view.OnStatus(status); }});
  watcher.Start();
  RETURN_IF_ERROR(processes.StartSites(address));
  RETURN_IF_ERROR(processes.Wait());
  federated.seconds = view.seconds();
  // The link makes no connection that is anything less.
  federated.tls = Json{{"version", "TLSv1.3"}, {"mutual", true}, {"handshakes", link->Metrics().handshakes}};
  ASSIGN_OR_RETURN(const auto store, OpenSqliteStore(disk, options.work + "/server/run_1/store"));
  ASSIGN_OR_RETURN(federated.rounds, store->Rounds(1));
  return federated;
}

// ---- the results ----------------------------------------------------------------------------------------------------

Result<Comparison> CompareModels(const App& app, const std::string& app_folder, const ModelData& federated,
                                 std::uint64_t seed, const Registry& registry, Disk& disk) {
  const ComponentServices services{.disk = &disk, .app_folder = app_folder};
  ASSIGN_OR_RETURN(const auto source, registry.sources.Make(*app.server.model, services));
  ASSIGN_OR_RETURN(const ModelData start, source->Build());
  const Json alone = app.comparison.value("alone", Json::object());
  return Compare(start, federated,
                 {.trainer_args = app.client.trainer->args,
                  .steps = alone.value("steps", std::uint64_t{0}),
                  .optimizer = alone.value("optimizer", Json()),
                  .seed = seed},
                 services);
}

// SVG to PNG by librsvg's own program; a demo without it has the SVG.
Status RenderPng(const std::string& svg, const std::string& png, const std::string& log, AsioLoop& loop) {
  const std::string renderer = "/usr/bin/rsvg-convert";
  if (!std::filesystem::exists(renderer)) {
    return NotFound("no curves.png: install librsvg2-bin for it");
  }
  int code = 0;
  ASSIGN_OR_RETURN(const auto process,
                   ServiceProcess::Start({.command = {renderer, "--zoom", "2", "-o", png, svg}, .log_file = log}, loop,
                                         [&](int exit_code) {
                                           code = exit_code;
                                           loop.Stop();
                                         }));
  loop.Run();
  if (code != 0) return Internal("no curves.png: rsvg-convert failed: " + LastLines(log, 3));
  return {};
}

Status WriteResults(const DemoOptions& options, const DemoResults& results, Terminal& terminal, Disk& disk,
                    AsioLoop& loop) {
  const std::string svg = options.output + "/curves.svg";
  RETURN_IF_ERROR(WriteFileAtomically(disk, options.output + "/summary.json", SummaryJson(results).dump(2) + "\n"));
  RETURN_IF_ERROR(WriteFileAtomically(disk, svg, CurvesSvg(results)));
  if (auto status = RenderPng(svg, options.output + "/curves.png", options.work + "/rsvg.log", loop);
      !status.has_value()) {
    terminal.Print(status.error().message());
  }
  return {};
}

// What a run leaves in its folders would be taken for an unfinished one.
Status ClearOldRun(const DemoOptions& options, const App& app) {
  std::error_code error;
  for (const std::string& site : app.sites) std::filesystem::remove_all(options.work + "/" + site, error);
  std::filesystem::remove_all(options.work + "/server", error);
  std::filesystem::remove_all(options.output + "/tensorboard", error);
  if (error) return Internal(options.work + ": the last run cannot be removed: " + error.message());
  return {};
}

void PrintEnd(Terminal& terminal, const DemoOptions& options, const DemoResults& results) {
  terminal.Print("");
  for (const std::string& line : ClosingTable(results)) terminal.Print("  " + line);
  terminal.Print(
      fmt::format("\n{} sites trained one model in {} rounds and {:.1f} s, over {} with certificates on both sides.\n"
                  "No row of data left a site's process. The model is in {}/model.safetensors\n(SHA-256 {}),\n"
                  "the curves in {}/curves.png, TensorBoard's files in {}/tensorboard, all figures in {}/summary.json.",
                  results.comparison.each_site_alone.size(), results.rounds.size() - 1, results.seconds,
                  results.tls.value("version", ""), options.output, results.model_sha256, options.output,
                  options.output, options.output));
}

}  // namespace

Status RunDemo(const DemoOptions& options, const Registry& registry, Disk& disk) {
  AsioLoop loop;
  ASSIGN_OR_RETURN(const App app, ReadApp(disk, options));
  RETURN_IF_ERROR(disk.MakeFolders(options.work));
  RETURN_IF_ERROR(disk.MakeFolders(options.output));
  ASSIGN_OR_RETURN(const auto lock, disk.Lock(options.work));
  RETURN_IF_ERROR(ClearOldRun(options, app));

  Terminal terminal(stdout);
  terminal.Print(fmt::format("{}: one server and {} sites, each a process of its own on this machine",
                             app.server.task_name, app.sites.size()));
  ASSIGN_OR_RETURN(const std::string kits, MakeKits(disk, options, app, loop.Wall()));
  ASSIGN_OR_RETURN(Federated federated, RunProcesses(options, app, kits, terminal, disk, loop));

  DemoResults results{.rounds = std::move(federated.rounds),
                      .published = app.comparison.value("published", Json::object()),
                      .seed = options.seed,
                      .seconds = federated.seconds,
                      .tls = federated.tls};
  const std::string run_folder = options.work + "/server/run_1";
  const std::string& model_id = results.rounds.back().model_id;
  ASSIGN_OR_RETURN(const ExportedModel exported, ExportModel(disk, run_folder + "/store", model_id, options.output));
  results.model_sha256 = exported.sha256;
  ASSIGN_OR_RETURN(const ModelData model, ReadModelFile(disk, exported.safetensors));
  ASSIGN_OR_RETURN(results.comparison, CompareModels(app, options.app, model, options.seed, registry, disk));
  std::error_code error;
  std::filesystem::copy(run_folder + "/tensorboard", options.output + "/tensorboard",
                        std::filesystem::copy_options::recursive, error);
  if (error) return Internal(options.output + "/tensorboard cannot be written: " + error.message());
  RETURN_IF_ERROR(WriteResults(options, results, terminal, disk, loop));
  PrintEnd(terminal, options, results);
  return {};
}

Status RunDemoSeeds(const DemoOptions& options, int seeds, const Registry& registry, Disk& disk) {
  RETURN_IF_ERROR(disk.MakeFolders(options.work));
  ASSIGN_OR_RETURN(const auto lock, disk.Lock(options.work));
  Terminal terminal(stdout);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < seeds; ++i) {
    DemoOptions one = options;
    one.seed = options.seed + static_cast<std::uint64_t>(i);
    ASSIGN_OR_RETURN(const App app, ReadApp(disk, one));
    const std::string run_folder = fmt::format("{}/seed_{}", options.work, one.seed);
    std::error_code error;
    std::filesystem::remove_all(run_folder, error);
    ASSIGN_OR_RETURN(const RunOutcome outcome, SimulateApp({.server = app.server,
                                                            .client = app.client,
                                                            .sites = app.sites,
                                                            .app_folder = options.app,
                                                            .run_folder = run_folder},
                                                           registry, disk, {}));
    ASSIGN_OR_RETURN(const ExportedModel exported,
                     ExportModel(disk, run_folder + "/store", outcome.model_id, run_folder));
    ASSIGN_OR_RETURN(const ModelData model, ReadModelFile(disk, exported.safetensors));
    ASSIGN_OR_RETURN(const Comparison comparison, CompareModels(app, options.app, model, one.seed, registry, disk));
    terminal.Print(fmt::format("seed {:3}   federated {:.4f}   pooled training {:.4f}   sha256 {}", one.seed,
                               comparison.federated, comparison.pooled_training, exported.sha256.substr(0, 16)));
    sum += comparison.federated;
    squares += comparison.federated * comparison.federated;
  }
  const double mean = sum / seeds;
  const double deviation = std::sqrt(std::max(squares / seeds - mean * mean, 0.0));
  terminal.Print(fmt::format("C-index of the federated model over {} seeds: mean {:.4f}, standard deviation {:.4f}",
                             seeds, mean, deviation));
  return {};
}

}  // namespace fed_learn
