// One run of a benchmark: a server process and a process with all sites over mutual TLS on loopback, from the kits to
// the figures, which count only once the final model is the sum that it has to be.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "benchmarks/federation/processes.h"

namespace fed_learn {

struct BenchRunOptions {
  WorkloadOptions workload;
  SiteKind kind = SiteKind::kLight;
};

struct BenchFigures {
  std::vector<double> round_seconds;     // of every round after the first
  std::vector<std::uint64_t> rss_bytes;  // of the server, after every round
  double bytes_in = 0;                   // of bodies, into the server; these four in the rounds after the first
  double bytes_out = 0;
  double server_cpu_seconds = 0;
  double sites_cpu_seconds = 0;
  std::uint64_t server_peak_rss_bytes = 0;
  std::uint64_t sites_peak_rss_bytes = 0;

  double MedianRoundSeconds() const;
  double TotalSeconds() const;  // of round_seconds
};

double Median(std::vector<double> values);

class BenchRunner {
 public:
  // `work` is a folder for kits and runs, on a disk that the server would take; `program` is this one's path.
  BenchRunner(Disk& disk, std::string work, std::string program)
      : disk_(disk), work_(std::move(work)), program_(std::move(program)) {}

  // Makes the kits of the server and so many sites, if they are not there yet; returns their folder.
  Result<std::string> Kits(int sites);

  // Internal, with the last lines of the log, if a process failed; DataLoss if the final model is another than the sum.
  Result<BenchFigures> Run(const BenchRunOptions& options);

 private:
  Status RunProcesses(const BenchRunOptions& options, const std::string& folder);
  Status CheckModel(const WorkloadOptions& workload, const std::string& model_file, const std::string& id);

  Disk& disk_;
  std::string work_;
  std::string program_;
  std::map<std::tuple<std::int64_t, int, int>, std::string> expected_;  // model ids, by elements, sites and rounds
};

}  // namespace fed_learn
