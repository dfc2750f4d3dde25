// The two processes of a benchmark run: a server as `fedlearn server` puts it together, and all sites in one process.
// Each writes what it measured of itself into a JSON file at its end.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "benchmarks/federation/workload.h"

namespace fed_learn {

enum class SiteKind {
  kLight,   // LightSite
  kClient,  // FederatedClient
  kIdle,    // says hello and stays
};

struct ProcessOptions {
  WorkloadOptions workload;
  std::string kits;    // folder of kits: "server", "site_1", …
  std::string folder;  // of the server's run; for the sites, their state
  std::string report;  // path of the JSON
  std::string task_name = "bench";
  int ready_fd = -1;   // gets a line once the server listens, or all idle sites are welcome
  std::string server;  // the sites': host:port
  SiteKind kind = SiteKind::kLight;
};

// Report: {"model", "round_seconds", "rss_bytes" after each round, "peak_rss_bytes", and of the rounds after the first
// "cpu_seconds", "bytes_in", "bytes_out"}. The model's package stays in `folder`/store.
Status RunServerProcess(const ProcessOptions& options);

// Report: {"peak_rss_bytes", "cpu_seconds"}. Idle sites do not end by themselves.
Status RunSitesProcess(const ProcessOptions& options);

// "123\n" on a descriptor; nothing for a negative one.
Status WriteReady(int fd, int number);

}  // namespace fed_learn
