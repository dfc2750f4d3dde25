#include "demo/round_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "demo/terminal.h"

namespace fed_learn {
namespace {

// "0.7312", or "–" for a metric that nobody has sent yet.
std::string Number(const Json& metrics, const std::string& key, const char* format) {
  if (!metrics.is_object()) return "–";
  const auto found = metrics.find(key);
  if (found == metrics.end() || !found->is_number()) return "–";
  return fmt::format(fmt::runtime(format), found->get<double>());
}

Json Section(const Json& status, const char* name) {
  const Json last = status.value("last_metrics", Json::object());
  return last.is_object() ? last.value(name, Json::object()) : Json::object();
}

std::string PhaseOf(const Json& site) {
  if (!site.value("connected", false)) return site.value("alive", false) ? "away" : "–";
  if (site.value("counted", false)) return "in";
  const std::string phase = site.value("phase", "");
  const double done = site.value("done", 0.0);
  return done > 0 && done < 1 ? fmt::format("{} {:.0f}%", phase, done * 100) : phase;
}

int SitesIn(const Json& sites) {
  return static_cast<int>(
      std::count_if(sites.begin(), sites.end(), [](const Json& site) { return site.value("counted", false); }));
}

int RoundsTotal(const Json& status) { return status.value("num_rounds", 0) - status.value("start_round", 0); }

int RoundsDone(const Json& status) {
  const int open = status.value("round_open", false) || status.value("state", "") == "running" ? 0 : 1;
  return std::clamp(status.value("round", 0) - status.value("start_round", 0) + open, 0,
                    std::max(RoundsTotal(status), 0));
}

}  // namespace

double DoneShare(const Json& status) {
  const Json sites = status.value("sites", Json::object());
  const double in = sites.empty() ? 0 : static_cast<double>(SitesIn(sites)) / static_cast<double>(sites.size());
  const double within = status.value("round_open", false) ? in : 0;
  return (RoundsDone(status) + within) / std::max(RoundsTotal(status), 1);
}

std::vector<std::string> RoundTable(const Json& status, double seconds, const RoundTableOptions& options) {
  const Json sites = status.value("sites", Json::object());
  const Json mean = Section(status, "mean");
  const Json per_site = Section(status, "sites");
  std::vector<std::string> lines;
  lines.push_back(fmt::format("round {} of {}   {} of {} sites in   loss {}   {} {}   {:.1f} s", RoundsDone(status),
                              RoundsTotal(status), SitesIn(sites), sites.size(), Number(mean, options.loss, "{:.4f}"),
                              options.score_title, Number(mean, options.score, "{:.3f}"), seconds));
  lines.push_back(ProgressBar(DoneShare(status), std::min(options.columns - 1, 72)));
  std::vector<std::vector<std::string>> rows = {{"site", "now", "loss", options.score_title}};
  for (const auto& [name, site] : sites.items()) {
    rows.push_back({name, PhaseOf(site), Number(per_site, name + "/" + options.loss, "{:.4f}"),
                    Number(per_site, name + "/" + options.score, "{:.3f}")});
  }
  for (std::string& line : AlignColumns(rows)) lines.push_back("  " + std::move(line));
  const Json waiting = status.value("waiting", Json::object());
  const std::string trouble = status.value("trouble", "");
  if (!trouble.empty()) {
    lines.push_back("! " + trouble);
  } else if (!waiting.value("setting", "").empty()) {
    std::string names;
    for (const Json& site : waiting.value("sites", Json::array())) {
      names += (names.empty() ? "" : ", ") + site.get<std::string>();
    }
    lines.push_back(fmt::format("waiting for {} since {:.1f} s ({})", names.empty() ? "more sites" : names,
                                waiting.value("since_seconds", 0.0), waiting.value("setting", "")));
  }
  return lines;
}

std::string RoundLine(const Json& status, const RoundTableOptions& options) {
  const Json mean = Section(status, "mean");
  return fmt::format("round {:3} of {}   loss {}   {} {}", RoundsDone(status), RoundsTotal(status),
                     Number(mean, options.loss, "{:.4f}"), options.score_title, Number(mean, options.score, "{:.3f}"));
}

}  // namespace fed_learn
