// fedlearn demo: a federation of seven processes on this machine, from provisioning to the plot.

#include "demo/demo.h"

#include <unistd.h>

#include <climits>
#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "tools/fedlearn/common_options.h"

namespace fed_learn {
namespace {

// The file this process runs from.
std::string OwnProgram() {
  std::string path(PATH_MAX, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return path;
}

struct DemoFlags {
  DemoOptions options;
  int seeds = 0;
  LogFlags log{.level = "warning"};
};

}  // namespace

void AddDemoCommand(Program& program) {
  auto* command = program.app.add_subcommand("demo", "Six regions train one survival model, on this machine");
  auto flags = std::make_shared<DemoFlags>();
  command->add_option("--app", flags->options.app, "Folder of the app")->capture_default_str();
  command->add_option("-o,--output", flags->options.output, "Folder for the results")->capture_default_str();
  command->add_option("--work", flags->options.work, "Folder for kits, logs and runs")->capture_default_str();
  command->add_option("--seed", flags->options.seed, "Decides the first model and every batch")->capture_default_str();
  command->add_option("--seeds", flags->seeds, "Run so many seeds in one process each; print mean and spread")
      ->check(CLI::PositiveNumber);
  flags->log.AddTo(*command);
  command->footer("Examples:\n  fedlearn demo\n  fedlearn demo --seeds 10");
  command->callback([&program, flags] {
    flags->log.Start();
    PosixDisk disk("");
    flags->options.program = OwnProgram();
    const Registry registry = BuiltInComponents();
    auto status = flags->seeds > 0 ? RunDemoSeeds(flags->options, flags->seeds, registry, disk)
                                   : RunDemo(flags->options, registry, disk);
    if (!status.has_value()) program.Fail(status.error());
  });
}

}  // namespace fed_learn
