#include "benchmarks/federation/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <utility>

#include "benchmarks/federation/expected_model.h"
#include "demo/service_process.h"
#include "formats/package.h"
#include "provision/provision.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

constexpr int kLogLinesShown = 10;
constexpr std::uint64_t kReportBytesMax = 16 << 20;

std::string_view NameOf(SiteKind kind) {
  return kind == SiteKind::kLight ? "light" : kind == SiteKind::kClient ? "client" : "idle";
}

// A server and its sites, until both have ended or one has failed.
class Processes {
 public:
  explicit Processes(std::string logs) : logs_(std::move(logs)) {}

  Result<std::string> StartServer(std::vector<std::string> command) {
    RETURN_IF_ERROR(Start("server", std::move(command), true));
    auto port = processes_.front()->Ready();
    if (!port.has_value()) return Failed("server");
    return "127.0.0.1:" + *port;
  }

  Status StartSites(std::vector<std::string> command) { return Start("sites", std::move(command), false); }

  Status Wait() {
    loop_.Run();
    return failed_.empty() ? Status() : Status(Failed(failed_));
  }

 private:
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
    if (code != 0 && failed_.empty()) failed_ = name;
    if (--running_ == 0 || !failed_.empty()) loop_.Stop();
  }

  std::string LogOf(const std::string& name) const { return logs_ + "/" + name + ".log"; }
  Error Failed(const std::string& name) const {
    return Internal(fmt::format("the {} failed; its last lines:\n{}", name, LastLines(LogOf(name), kLogLinesShown)));
  }

  std::string logs_;
  AsioLoop loop_;
  std::vector<std::unique_ptr<ServiceProcess>> processes_;
  int running_ = 0;
  std::string failed_;
};

Result<Json> ReadReport(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, path, kReportBytesMax));
  return ParseJson(text, path);
}

BenchFigures FiguresOf(const Json& server, const Json& sites) {
  BenchFigures figures;
  server["round_seconds"].get_to(figures.round_seconds);
  server["rss_bytes"].get_to(figures.rss_bytes);
  figures.round_seconds.erase(figures.round_seconds.begin());
  figures.bytes_in = server["bytes_in"];
  figures.bytes_out = server["bytes_out"];
  figures.server_cpu_seconds = server["cpu_seconds"];
  figures.sites_cpu_seconds = sites["cpu_seconds"];
  figures.server_peak_rss_bytes = server["peak_rss_bytes"];
  figures.sites_peak_rss_bytes = sites["peak_rss_bytes"];
  return figures;
}

}  // namespace

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double BenchFigures::MedianRoundSeconds() const { return Median(round_seconds); }

double BenchFigures::TotalSeconds() const { return std::accumulate(round_seconds.begin(), round_seconds.end(), 0.0); }

Result<std::string> BenchRunner::Kits(int sites) {
  std::string text = "name: bench\nserver:\n  host: localhost\n  alt_names: [127.0.0.1]\n  org: bench\nfl_clients:\n";
  for (int site = 0; site < sites; ++site) text += fmt::format("  - {{client_name: {}, org: bench}}\n", SiteName(site));
  ASSIGN_OR_RETURN(const Project project, ParseProject(text, "the benchmark's project"));
  const std::string kits = fmt::format("{}/kits_{}", work_, sites);
  RETURN_IF_ERROR(disk_.MakeFolders(work_));
  RETURN_IF_ERROR(Provision(disk_, project, {.out = kits, .now = AsioLoop().Wall()}));
  return kits;
}

Status BenchRunner::RunProcesses(const BenchRunOptions& options, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string kits, Kits(options.workload.sites));
  std::vector<std::string> common = {"--kits",     kits,
                                     "--folder",   folder,
                                     "--elements", std::to_string(options.workload.elements),
                                     "--sites",    std::to_string(options.workload.sites),
                                     "--rounds",   std::to_string(options.workload.rounds)};
  std::vector<std::string> server = {program_, "server", "--report", folder + "/server.json"};
  server.insert(server.end(), common.begin(), common.end());
  std::vector<std::string> sites = {
      program_, "sites", "--report", folder + "/sites.json", "--kind", std::string(NameOf(options.kind))};
  sites.insert(sites.end(), common.begin(), common.end());

  Processes processes(folder);
  ASSIGN_OR_RETURN(const std::string address, processes.StartServer(std::move(server)));
  sites.insert(sites.end(), {"--server", address});
  RETURN_IF_ERROR(processes.StartSites(std::move(sites)));
  return processes.Wait();
}

Status BenchRunner::CheckModel(const WorkloadOptions& workload, const std::string& model_file, const std::string& id) {
  std::string& expected = expected_[{workload.elements, workload.sites, workload.rounds}];
  if (expected.empty()) {
    ASSIGN_OR_RETURN(expected, ExpectedModelId(workload));
  }
  ASSIGN_OR_RETURN(const auto model, ReadPackage(disk_, model_file));
  if (model->id == id && id == expected) return {};
  return DataLoss(fmt::format("the run ended in model {}, but its updates add up to {}", model->id, expected));
}

Result<BenchFigures> BenchRunner::Run(const BenchRunOptions& options) {
  const std::string folder = work_ + "/run";
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  RETURN_IF_ERROR(disk_.MakeFolders(folder));
  RETURN_IF_ERROR(RunProcesses(options, folder));
  ASSIGN_OR_RETURN(const Json server, ReadReport(disk_, folder + "/server.json"));
  ASSIGN_OR_RETURN(const Json sites, ReadReport(disk_, folder + "/sites.json"));
  const std::string id = server["model"];
  RETURN_IF_ERROR(CheckModel(options.workload, folder + "/store/" + id + ".flmodel", id));
  std::filesystem::remove_all(folder, error);
  return FiguresOf(server, sites);
}

}  // namespace fed_learn
