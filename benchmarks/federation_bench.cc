// What a federation costs: a server process and a process with all sites, over mutual TLS on loopback, every site with
// another update, the final model checked before a figure is printed. docs/benchmarks.md says how to read it.
//
//   federation_bench table       seconds a round, GB/s, CPU and memory, by model size and number of sites
//   federation_bench rss_slope   whether the server grows over a thousand rounds
//   federation_bench idle        how fast a server starts, and what 500 connected sites cost it
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/posix_disk.h"
#include "benchmarks/federation/bench_run.h"
#include "benchmarks/federation/process_usage.h"
#include "demo/service_process.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMega = 1e6;
constexpr std::int64_t kElementsPerMegabyte = 250'000;

// Published for such a machine (two cores, loopback, TLS), measured elsewhere and not by this program.
struct PeerFigure {
  int megabytes;
  const char* name;
  double round_seconds;
  const char* server_memory;
};
constexpr PeerFigure kPeers[] = {
    {1, "NVFLARE 2.9, tuned", 0.62, "-"},       {1, "Flower 1.41", 13.7, "-"},
    {25, "NVFLARE 2.9, tuned", 3.7, "950 MB"},  {25, "Flower 1.41", 22, "1.5 GB"},
    {100, "NVFLARE 2.9, tuned", 9.3, "2.6 GB"}, {100, "Flower 1.41", 35, "4.0 GB"},
};
constexpr int kPeerSites = 8;

struct Flags {
  std::string work = "build/bench-work";
  std::vector<int> megabytes = {1, 25, 100};
  std::vector<int> sites = {8, 32, 100};
  int runs = 3;
  int rounds = 0;  // 0: by the size
  std::string fedlearn = "bin/fedlearn";
  std::string app = "examples/fed_tcga_brca";
  int idle_sites = 500;
  ProcessOptions process;
  std::string kind = "light";
};

struct Case {
  int megabytes = 1;
  BenchRunOptions run;
  std::vector<BenchFigures> figures;
};

// Enough rounds for a median, and not many more bytes than that takes.
int RoundsFor(int megabytes, int sites) {
  const int round_megabytes = megabytes * sites;
  return round_megabytes <= 200 ? 21 : round_megabytes <= 1000 ? 11 : round_megabytes <= 4000 ? 6 : 4;
}

std::string_view KindName(SiteKind kind) { return kind == SiteKind::kClient ? "clients" : "light"; }

void PrintHead() {
  fmt::print("{:>5} {:>6} {:8} {:>7} {:>9} {:>9} {:>7} {:>7} {:>10} {:>10} {:>9} {:>9}\n", "MB", "sites", "kind",
             "rounds", "s/round", "worst", "GB/s in", "out", "server", "sites", "server", "sites");
  fmt::print("{:>5} {:>6} {:8} {:>7} {:>9} {:>9} {:>7} {:>7} {:>10} {:>10} {:>9} {:>9}\n", "", "", "", "", "median", "",
             "", "", "CPU-s/GB", "CPU-s/GB", "peak MB", "peak MB");
}

void Print(const Case& one, const BenchFigures& figures) {
  const double seconds = figures.TotalSeconds();
  const double gigabytes = (figures.bytes_in + figures.bytes_out) / kGiga;
  const auto& rounds = figures.round_seconds;
  fmt::print("{:5} {:6} {:8} {:7} {:9.3f} {:9.3f} {:7.2f} {:7.2f} {:10.2f} {:10.2f} {:9.0f} {:9.0f}\n", one.megabytes,
             one.run.workload.sites, KindName(one.run.kind), rounds.size(), figures.MedianRoundSeconds(),
             *std::max_element(rounds.begin(), rounds.end()), figures.bytes_in / seconds / kGiga,
             figures.bytes_out / seconds / kGiga, figures.server_cpu_seconds / gigabytes,
             figures.sites_cpu_seconds / gigabytes, static_cast<double>(figures.server_peak_rss_bytes) / kMega,
             static_cast<double>(figures.sites_peak_rss_bytes) / kMega);
  std::fflush(stdout);
}

double MedianSeconds(const Case& one) {
  std::vector<double> values;
  for (const BenchFigures& figures : one.figures) values.push_back(figures.MedianRoundSeconds());
  return Median(std::move(values));
}

double MedianPeakMegabytes(const Case& one) {
  std::vector<double> values;
  for (const BenchFigures& figures : one.figures) {
    values.push_back(static_cast<double>(figures.server_peak_rss_bytes) / kMega);
  }
  return Median(std::move(values));
}

std::vector<Case> CasesOf(const Flags& flags) {
  std::vector<Case> cases;
  const auto add = [&](int megabytes, int sites, SiteKind kind) {
    Case one;
    one.megabytes = megabytes;
    one.run.kind = kind;
    one.run.workload = {.elements = megabytes * kElementsPerMegabyte,
                        .sites = sites,
                        .rounds = flags.rounds > 0 ? flags.rounds : RoundsFor(megabytes, sites)};
    cases.push_back(std::move(one));
  };
  for (const int megabytes : flags.megabytes) {
    for (const int sites : flags.sites) {
      add(megabytes, sites, SiteKind::kLight);
      if (megabytes == 25 && sites == kPeerSites) add(megabytes, sites, SiteKind::kClient);
    }
  }
  return cases;
}

// The medians over the processes, and what was asked of them.
void PrintSummary(const std::vector<Case>& cases) {
  fmt::print("\nMedians of the runs, against what was published for such a machine (measured elsewhere)\n");
  for (const Case& one : cases) {
    const double seconds = MedianSeconds(one);
    fmt::print("{:4} MB × {:3} {:8} {:8.3f} s a round, server {:5.0f} MB (6 × model + 60 MB = {} MB)\n", one.megabytes,
               one.run.workload.sites, KindName(one.run.kind), seconds, MedianPeakMegabytes(one),
               6 * one.megabytes + 60);
    if (one.run.workload.sites != kPeerSites) continue;
    for (const PeerFigure& peer : kPeers) {
      if (peer.megabytes != one.megabytes) continue;
      fmt::print("     {:20} {:8.3f} s a round, server {:>6}: {:.1f} times as long\n", peer.name, peer.round_seconds,
                 peer.server_memory, peer.round_seconds / seconds);
    }
  }
  std::map<int, std::map<int, double>> peaks;
  for (const Case& one : cases) {
    if (one.run.kind == SiteKind::kLight) peaks[one.megabytes][one.run.workload.sites] = MedianPeakMegabytes(one);
  }
  for (const auto& [megabytes, by_sites] : peaks) {
    if (by_sites.size() < 2) continue;
    fmt::print("{:4} MB: the server's peak at {} sites is {:.3f} × that at {}\n", megabytes, by_sites.rbegin()->first,
               by_sites.rbegin()->second / by_sites.begin()->second, by_sites.begin()->first);
  }
}

// One process after the other and from the start again: a slow minute of the machine meets all of them.
Status RunTable(const Flags& flags, BenchRunner& runner) {
  std::vector<Case> cases = CasesOf(flags);
  PrintHead();
  for (int run = 0; run < flags.runs; ++run) {
    for (Case& one : cases) {
      ASSIGN_OR_RETURN(BenchFigures figures, runner.Run(one.run));
      Print(one, figures);
      one.figures.push_back(std::move(figures));
    }
  }
  PrintSummary(cases);
  return {};
}

// Least squares through the values, by index.
double SlopeOf(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean_x = (count - 1) / 2;
  double mean_y = 0;
  for (const double value : values) mean_y += value / count;
  double covariance = 0;
  double variance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(i) - mean_x;
    covariance += x * (values[i] - mean_y);
    variance += x * x;
  }
  return covariance / variance;
}

Status RunSlope(const Flags& flags, BenchRunner& runner) {
  constexpr int megabytes = 25;
  const int rounds = flags.rounds > 0 ? flags.rounds : 1000;
  if (rounds < 20) return InvalidArgument("--rounds: at least 20 for a slope");
  ASSIGN_OR_RETURN(
      const BenchFigures figures,
      runner.Run({.workload = {.elements = megabytes * kElementsPerMegabyte, .sites = kPeerSites, .rounds = rounds}}));
  std::vector<double> rss;
  for (const std::uint64_t bytes : figures.rss_bytes) rss.push_back(static_cast<double>(bytes) / kMega);
  const int warm = rounds / 10;
  fmt::print("{} MB × {} sites, {} rounds, {:.3f} s a round\nserver RSS after round: ", megabytes, kPeerSites, rounds,
             figures.MedianRoundSeconds());
  for (int i = 0; i <= 10; ++i) {
    const int round = std::min(i * rounds / 10, rounds - 1);
    fmt::print("{}: {:.1f} MB  ", round, rss[static_cast<std::size_t>(round)]);
  }
  rss.erase(rss.begin(), rss.begin() + warm);
  fmt::print("\nslope after the first {}: {:+.3f} MB per 100 rounds (below 1 is wanted)\n", warm, 100 * SlopeOf(rss));
  return {};
}

// A real server, as a user starts it; ended when this goes.
struct IdleServer {
  std::unique_ptr<ServiceProcess> process;
  std::string address;
  double start_seconds = 0;
};

Result<IdleServer> StartIdleServer(const Flags& flags, const std::string& kits, const std::string& folder,
                                   AsioLoop& loop) {
  IdleServer server;
  std::error_code error;
  std::filesystem::remove_all(folder + "/workspace", error);
  const auto begin = loop.Now();
  ASSIGN_OR_RETURN(
      server.process,
      ServiceProcess::Start(
          {.command = {flags.fedlearn, "server", "--kit", kits + "/server", "--app", flags.app, "--workspace",
                       folder + "/workspace", "--listen", "127.0.0.1:0", "--set", "servers.0.name=bench", "--set",
                       fmt::format("servers.0.max_num_clients={}", flags.idle_sites), "--set",
                       fmt::format("servers.0.min_num_clients={}", flags.idle_sites)},
           .log_file = folder + "/server.log",
           .tells_when_ready = true},
          loop, [](int) {}));
  const auto port = server.process->Ready();
  if (!port.has_value()) return Internal("the server failed:\n" + LastLines(folder + "/server.log", 10));
  server.start_seconds = std::chrono::duration<double>(loop.Now() - begin).count();
  server.address = "127.0.0.1:" + *port;
  return server;
}

Status RunIdle(const Flags& flags, BenchRunner& runner, Disk& disk, const std::string& program) {
  AsioLoop loop;
  const std::string folder = flags.work + "/idle";
  RETURN_IF_ERROR(disk.MakeFolders(folder));
  ASSIGN_OR_RETURN(const std::string kits, runner.Kits(flags.idle_sites));
  std::vector<double> starts;
  std::optional<IdleServer> server;
  for (int i = 0; i < 5; ++i) {
    server.reset();
    ASSIGN_OR_RETURN(server, StartIdleServer(flags, kits, folder, loop));
    starts.push_back(server->start_seconds);
  }
  const double alone = static_cast<double>(UsageOf(server->process->process()).rss_bytes) / kMega;
  ASSIGN_OR_RETURN(const auto sites,
                   ServiceProcess::Start({.command = {program, "sites", "--kind", "idle", "--server", server->address,
                                                      "--sites", std::to_string(flags.idle_sites), "--kits", kits},
                                          .log_file = folder + "/sites.log",
                                          .tells_when_ready = true},
                                         loop, [](int) {}));
  const auto welcome = sites->Ready();
  if (!welcome.has_value()) return Internal("the sites failed:\n" + LastLines(folder + "/sites.log", 10));
  const ProcessUsage usage = UsageOf(server->process->process());
  fmt::print("start until ready, {} times: median {:.3f} s, worst {:.3f} s (below 0.2 is wanted)\n", starts.size(),
             Median(starts), *std::max_element(starts.begin(), starts.end()));
  fmt::print("RSS alone {:.1f} MB; with {} sites connected {:.1f} MB, at the peak {:.1f} MB (below 60 is wanted)\n",
             alone, *welcome, static_cast<double>(usage.rss_bytes) / kMega,
             static_cast<double>(usage.peak_rss_bytes) / kMega);
  return {};
}

void AddProcessOptions(CLI::App& command, ProcessOptions& options) {
  command.add_option("--elements", options.workload.elements);
  command.add_option("--sites", options.workload.sites);
  command.add_option("--rounds", options.workload.rounds);
  command.add_option("--kits", options.kits);
  command.add_option("--folder", options.folder);
  command.add_option("--report", options.report);
  command.add_option("--task", options.task_name);
  command.add_option("--ready-fd", options.ready_fd);
  command.add_option("--server", options.server);
}

Status RunCommand(CLI::App& app, Flags& flags) {
  StartLog({.level = LogLevel::kWarning});
  flags.process.kind = flags.kind == "idle"     ? SiteKind::kIdle
                       : flags.kind == "client" ? SiteKind::kClient
                                                : SiteKind::kLight;
  if (app.got_subcommand("server")) return RunServerProcess(flags.process);
  if (app.got_subcommand("sites")) return RunSitesProcess(flags.process);
  PosixDisk disk("");
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  BenchRunner runner(disk, flags.work, program);
  if (app.got_subcommand("table")) return RunTable(flags, runner);
  if (app.got_subcommand("rss_slope")) return RunSlope(flags, runner);
  return RunIdle(flags, runner, disk, program);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("What a federation costs");
  app.require_subcommand(1);
  app.add_option("--work", flags.work, "Folder for kits and runs, on a real disk")->capture_default_str();
  auto* table = app.add_subcommand("table", "Rounds by model size and number of sites");
  table->add_option("--megabytes", flags.megabytes, "Sizes of the model")->delimiter(',')->capture_default_str();
  table->add_option("--sites", flags.sites, "Numbers of sites")->delimiter(',')->capture_default_str();
  table->add_option("--runs", flags.runs, "Processes for each")->capture_default_str();
  table->add_option("--rounds", flags.rounds, "Rounds of a run (default: by the size)");
  auto* slope = app.add_subcommand("rss_slope", "Memory of the server over many rounds");
  slope->add_option("--rounds", flags.rounds, "Rounds (default: 1000)");
  auto* idle = app.add_subcommand("idle", "Start and memory of a server that waits");
  idle->add_option("--fedlearn", flags.fedlearn, "The program")->capture_default_str();
  idle->add_option("--app", flags.app, "An app")->capture_default_str();
  idle->add_option("--sites", flags.idle_sites, "Sites that connect")->capture_default_str();
  AddProcessOptions(*app.add_subcommand("server", "The server of a run")->group(""), flags.process);
  auto* sites = app.add_subcommand("sites", "The sites of a run")->group("");
  AddProcessOptions(*sites, flags.process);
  sites->add_option("--kind", flags.kind);
  CLI11_PARSE(app, argc, argv);
  const Status status = RunCommand(app, flags);
  if (status.has_value()) return 0;
  fmt::print(stderr, "federation_bench: {}\n", status.error().message());
  return 1;
}

}  // namespace
}  // namespace fed_learn

int main(int argc, char** argv) { return fed_learn::Main(argc, argv); }
