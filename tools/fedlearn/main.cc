#include <fmt/format.h>

#include <cstdio>

#include "tools/fedlearn/commands.h"

namespace fed_learn {

void Program::Fail(const Error& error) {
  fmt::print(stderr, "fedlearn: {}\n", error.message());
  exit_code = error.kind() == ErrorKind::kInvalidArgument ? kMisused : kFailed;
}

namespace {

int Main(int argc, char** argv) {
  Program program;
  program.app.description("Sites train one model together, and no row of data leaves them.");
  program.app.name("fedlearn");
  program.app.set_version_flag("--version", "fedlearn " FED_LEARN_VERSION);
  program.app.require_subcommand(1);
  AddDemoCommand(program);
  AddSimulateCommand(program);
  AddServerCommand(program);
  AddClientCommand(program);
  AddAdminCommand(program);
  AddProvisionCommand(program);
  AddInspectCommand(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.app.exit(error) == 0 ? kDone : kMisused;
  }
  return program.exit_code;
}

}  // namespace
}  // namespace fed_learn

int main(int argc, char** argv) { return fed_learn::Main(argc, argv); }
