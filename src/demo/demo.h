// Demo: one server and a process a site on this machine, under mutual TLS, from provisioning to the plot.
#pragma once

#include <cstdint>
#include <string>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"
#include "components/registry.h"

namespace fed_learn {

struct DemoOptions {
  std::string program;  // path of fedlearn itself
  std::string app = "examples/fed_tcga_brca";
  std::string output = "demo/out";
  std::string work = "demo/run";  // kits, logs and runs; kits are kept for the next time
  std::uint64_t seed = 0;
};

// Runs it, shows it on standard output, writes the results. The error of whatever failed, with the last lines of its
// log.
Status RunDemo(const DemoOptions& options, const Registry& registry, Disk& disk);

// The same federation for `seeds` seeds, each in one process (the same engine, and so the same models), and what the
// scores are on the average.
Status RunDemoSeeds(const DemoOptions& options, int seeds, const Registry& registry, Disk& disk);

}  // namespace fed_learn
