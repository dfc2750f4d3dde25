// RoundTable: a server's status as the lines that a person watches during a run. Pure; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace fed_learn {

struct RoundTableOptions {
  std::string loss = "train/loss";  // metrics to show, "group/name"
  std::string score = "validation/c_index";
  std::string score_title = "C-index";
  int columns = 80;
};

// The whole block: progress, and a row a site. `seconds`: since the start.
std::vector<std::string> RoundTable(const Json& status, double seconds, const RoundTableOptions& options);

// One line for where there is no terminal.
std::string RoundLine(const Json& status, const RoundTableOptions& options);

// Rounds that are done, of all of this run: 0…1.
double DoneShare(const Json& status);

}  // namespace fed_learn
