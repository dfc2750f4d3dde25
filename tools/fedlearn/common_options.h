// Options that several commands share, and what they lead to.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "components/registry.h"
#include "tools/fedlearn/commands.h"

namespace fed_learn {

struct LogFlags {
  std::string format = "human";
  std::string level = "info";
  std::string file;

  void AddTo(CLI::App& command);
  void Start() const;
};

// Every component that this program was built with.
Registry BuiltInComponents();

// The text of APP/config/<name>, or APP/<name>. NotFound names both.
struct AppFile {
  std::string path;
  std::string text;
};
Result<AppFile> ReadAppFile(Disk& disk, const std::string& app_folder, const std::string& name);

}  // namespace fed_learn
