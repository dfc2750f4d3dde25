// The commands of `fedlearn`, one file each. A command adds its options to the program and sets `exit_code` when it runs.
#pragma once

#include <CLI/CLI.hpp>

#include "base/error.h"

namespace fed_learn {

// 0 done, 1 failed, 2 misused (docs/exit_codes.md).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kMisused = 2;

struct Program {
  CLI::App app;
  int exit_code = kDone;

  // Prints "fedlearn: <message>" on standard error and sets the exit code: misused for InvalidArgument, else failed.
  void Fail(const Error& error);
};

void AddAdminCommand(Program& program);
void AddClientCommand(Program& program);
void AddDemoCommand(Program& program);
void AddInspectCommand(Program& program);
void AddProvisionCommand(Program& program);
void AddServerCommand(Program& program);
void AddSimulateCommand(Program& program);
void AddEnrollCommand(Program& program, CLI::App& client);  // `fedlearn client enroll`

}  // namespace fed_learn
