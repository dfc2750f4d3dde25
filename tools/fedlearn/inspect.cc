// fedlearn inspect: what is in a model file.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "formats/inspection.h"
#include "tools/fedlearn/commands.h"

namespace fed_learn {
namespace {

struct InspectFlags {
  std::string file;
  bool json = false;
};

Status Inspect(const InspectFlags& flags) {
  PosixDisk disk("");
  ASSIGN_OR_RETURN(const ModelInspection inspection, InspectModelFile(disk, flags.file));
  if (flags.json) {
    fmt::print("{}\n", InspectionToJson(inspection).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}", FormatInspection(inspection));
  }
  return {};
}

}  // namespace

void AddInspectCommand(Program& program) {
  auto* command = program.app.add_subcommand("inspect", "Show the tensors, norms and hashes of a model file");
  auto flags = std::make_shared<InspectFlags>();
  command->add_option("FILE", flags->file, "A package (.flmodel), safetensors, npz or npy file")->required();
  command->add_flag("--json", flags->json, "Print JSON instead of a table");
  command->footer(R"(The format is told by the file's content. Nothing in the file is executed.

Examples:
  fedlearn inspect run/FL_global_model.safetensors
  fedlearn inspect model.npz --json | jq '.tensors[].name')");
  command->callback([&program, flags] {
    if (const Status done = Inspect(*flags); !done.has_value()) program.Fail(done.error());
  });
}

}  // namespace fed_learn
