#include "demo/demo_results.h"

#include <fmt/format.h>

#include <limits>

#include "demo/line_chart.h"
#include "demo/terminal.h"

namespace fed_learn {
namespace {

std::size_t SitesOf(const DemoResults& results) { return results.comparison.each_site_alone.size(); }

// The metric of every round after the first model; NaN where a round has none.
std::vector<double> Curve(const std::vector<RoundRecord>& rounds, const char* section, const std::string& key) {
  std::vector<double> values;
  for (const RoundRecord& round : rounds) {
    if (round.sites.empty()) continue;
    const Json metrics = round.metrics.value(section, Json::object());
    values.push_back(metrics.value(key, std::numeric_limits<double>::quiet_NaN()));
  }
  return values;
}

std::string PublishedCell(const Json& published, const std::string& site) {
  const Json sites = published.value("each_site_alone", Json::object());
  return sites.contains(site) ? fmt::format("{:.3f}", sites[site].get<double>()) : "";
}

std::string MeanAndDeviation(const Json& entry) {
  return fmt::format("{:.3f} ± {:.3f}", entry.value("mean", 0.0), entry.value("sd", 0.0));
}

}  // namespace

Json SummaryJson(const DemoResults& results) {
  const Comparison& comparison = results.comparison;
  return {{"sites", SitesOf(results)},
          {"rounds", Curve(results.rounds, "mean", "").size()},
          {"tls", results.tls},
          {"seed", results.seed},
          {"seconds", results.seconds},
          {comparison.metric,
           {{"federated", comparison.federated},
            {"federated_by_site", comparison.federated_by_site},
            {"each_site_alone", comparison.each_site_alone},
            {"pooled_training", comparison.pooled_training},
            {"published", results.published}}},
          {"model_sha256", results.model_sha256}};
}

std::string CurvesSvg(const DemoResults& results) {
  const std::string score = "validation/" + results.comparison.metric;
  LineChart chart{.title = "C-index of the federated model on each region's own test patients",
                  .x_label = "round",
                  .y_label = "C-index"};
  chart.lines.push_back({"mean of the regions", Curve(results.rounds, "mean", score), true});
  for (const auto& [site, alone] : results.comparison.each_site_alone) {
    chart.lines.push_back({site, Curve(results.rounds, "sites", site + "/" + score), false});
  }
  chart.levels.push_back(
      {fmt::format("all test patients {:.3f}", results.comparison.federated), results.comparison.federated});
  chart.levels.push_back(
      {fmt::format("pooled training {:.3f}", results.comparison.pooled_training), results.comparison.pooled_training});
  return chart.ToSvg();
}

std::vector<std::string> ClosingTable(const DemoResults& results) {
  const Comparison& comparison = results.comparison;
  std::vector<std::vector<std::string>> rows = {{"C-index on all test patients", "here", "published"}};
  const Json federated = results.published.value("federated", Json::object());
  rows.push_back({"federated", fmt::format("{:.3f}", comparison.federated),
                  federated.contains("FedAdam") ? MeanAndDeviation(federated["FedAdam"]) + " (FedAdam)" : ""});
  if (federated.contains("FedAvg")) rows.push_back({"", "", MeanAndDeviation(federated["FedAvg"]) + " (FedAvg) "});
  rows.push_back({"pooled training", fmt::format("{:.3f}", comparison.pooled_training),
                  MeanAndDeviation(results.published.value("pooled_training", Json::object()))});
  for (const auto& [site, score] : comparison.each_site_alone) {
    rows.push_back({site + " alone", fmt::format("{:.3f}", score), PublishedCell(results.published, site)});
  }
  return AlignColumns(rows);
}

}  // namespace fed_learn
