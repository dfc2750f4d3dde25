// Runs apps whose trainer is a TabularFitter over many seeds, in the engine that production runs, and prints the score
// of the final models on the pooled validation rows of all sites and on each site's own.
//
//   published_settings_bench SEEDS FIRST_SEED METRIC APP…
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "aggregation/components.h"
#include "base/log.h"
#include "base/posix_disk.h"
#include "formats/components.h"
#include "simulate/app_simulation.h"
#include "trainers/components.h"
#include "trainers/tabular_experiment.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kConfigBytesMax = 1'000'000;

// Scores of one run: pooled, then by site.
using Scores = std::vector<double>;

class LastModel : public ServerObserver {
 public:
  void OnRoundRecorded(const RoundRecord&, const ModelData& model) override { model_ = model; }
  const ModelData& model() const { return model_; }

 private:
  ModelData model_;
};

struct Program {
  PosixDisk disk{""};
  Registry registry;
  std::string metric;
  std::string run_folder;
};

Result<AppSimulationOptions> ReadApp(Program& program, const std::string& app, int seed) {
  AppSimulationOptions options;
  options.app_folder = app;
  options.run_folder = program.run_folder;
  const std::string server_path = app + "/config/config_fed_server.json";
  const std::string client_path = app + "/config/config_fed_client.json";
  ASSIGN_OR_RETURN(const std::string server, ReadFile(program.disk, server_path, kConfigBytesMax));
  ASSIGN_OR_RETURN(const std::string client, ReadFile(program.disk, client_path, kConfigBytesMax));
  ConfigSources server_sources;
  server_sources.run = {server, server_path};
  server_sources.overrides = {fmt::format("seed={}", seed), fmt::format("model.args.seed={}", seed)};
  ConfigSources client_sources;
  client_sources.run = {client, client_path};
  ASSIGN_OR_RETURN(options.server, ParseServerConfig(server_sources));
  ASSIGN_OR_RETURN(options.client, ParseClientConfig(client_sources));
  options.clock = SimulationClock::kSimulated;
  return options;
}

Result<Scores> ScoresOf(const TabularExperiment& experiment, const ModelData& model, const std::string& metric) {
  Scores scores;
  const auto add = [&](const std::vector<std::string>& sites) -> Status {
    ASSIGN_OR_RETURN(const MetricGroup metrics, experiment.Evaluate(model, sites));
    const auto found = metrics.find(metric);
    scores.push_back(found == metrics.end() ? std::nan("") : found->second);
    return {};
  };
  RETURN_IF_ERROR(add(experiment.sites()));
  for (const std::string& site : experiment.sites()) RETURN_IF_ERROR(add({site}));
  return scores;
}

Result<Scores> RunOnce(Program& program, const std::string& app, int seed) {
  ASSIGN_OR_RETURN(AppSimulationOptions options, ReadApp(program, app, seed));
  const ComponentServices services{.disk = &program.disk, .app_folder = app, .run_folder = program.run_folder};
  ASSIGN_OR_RETURN(const TabularExperiment experiment, TabularExperiment::Load(options.client.trainer->args, services));
  options.sites = experiment.sites();
  std::filesystem::remove_all(program.run_folder);
  LastModel last;
  RETURN_IF_ERROR(SimulateApp(options, program.registry, program.disk, {&last}));
  return ScoresOf(experiment, last.model(), program.metric);
}

void Print(const std::string& app, const std::vector<Scores>& runs) {
  std::vector<double> pooled;
  for (const Scores& scores : runs) pooled.push_back(scores.front());
  std::sort(pooled.begin(), pooled.end());
  const auto count = static_cast<double>(pooled.size());
  const double mean = std::accumulate(pooled.begin(), pooled.end(), 0.0) / count;
  double squares = 0;
  for (const double score : pooled) squares += (score - mean) * (score - mean);
  const std::size_t middle = pooled.size() / 2;
  const double median = pooled.size() % 2 == 1 ? pooled[middle] : (pooled[middle - 1] + pooled[middle]) / 2;
  const auto low = std::count_if(pooled.begin(), pooled.end(), [](double score) { return score < 0.75; });
  fmt::print("{:40} {:3} seeds  {:.3f} ± {:.3f}  median {:.3f}  worst {:.3f}  below 0.75: {:2} ", app, pooled.size(),
             mean, std::sqrt(squares / count), median, pooled.front(), low);
  for (std::size_t site = 1; site < runs.front().size(); ++site) {
    double sum = 0;
    for (const Scores& scores : runs) sum += scores[site];
    fmt::print(" {:.3f}", sum / count);
  }
  fmt::print("\n");
}

Status Run(Program& program, int seeds, int first_seed, const std::vector<std::string>& apps) {
  for (const std::string& app : apps) {
    std::vector<Scores> runs;
    for (int seed = first_seed; seed < first_seed + seeds; ++seed) {
      ASSIGN_OR_RETURN(Scores scores, RunOnce(program, app, seed));
      runs.push_back(std::move(scores));
    }
    Print(app, runs);
  }
  return {};
}

int Main(const std::vector<std::string>& words) {
  const int seeds = words.size() < 5 ? 0 : std::atoi(words[1].c_str());
  if (seeds < 1) {
    fmt::print(stderr, "usage: {} SEEDS FIRST_SEED METRIC APP…\n", words[0]);
    return 2;
  }
  std::string folder = std::filesystem::temp_directory_path() / "published_settings_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  LogOptions log;
  log.level = LogLevel::kWarning;
  StartLog(log);
  Program program;
  program.metric = words[3];
  program.run_folder = folder + "/run";
  RegisterAggregationComponents(program.registry);
  RegisterFormatsComponents(program.registry);
  RegisterTrainersComponents(program.registry);
  const Status status = Run(program, seeds, std::atoi(words[2].c_str()), {words.begin() + 4, words.end()});
  std::filesystem::remove_all(folder);
  if (status.has_value()) return 0;
  fmt::print(stderr, "{}\n", status.error().message());
  return 1;
}

}  // namespace
}  // namespace fed_learn

int main(int argc, char** argv) { return fed_learn::Main({argv, argv + argc}); }
