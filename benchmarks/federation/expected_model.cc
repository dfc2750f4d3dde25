#include "benchmarks/federation/expected_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "aggregation/model_aggregator.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::size_t kBlock = 4096;  // elements whose sums stay in the cache

// start + Σ n·update / Σ n, against what the aggregator made of it.
Status CheckTensor(const Tensor& start, const Tensor& result, const std::vector<ModelData>& updates,
                   const std::vector<double>& weights, std::size_t index) {
  double divisor = 0;
  for (const double weight : weights) divisor += weight;
  const auto before = start.values<float>();
  const auto after = result.values<float>();
  std::vector<double> sums(kBlock);
  for (std::size_t at = 0; at < before.size(); at += kBlock) {
    const std::size_t count = std::min(kBlock, before.size() - at);
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t site = 0; site < updates.size(); ++site) {
      const float* values = updates[site][index].tensor.values<float>().data() + at;
      for (std::size_t i = 0; i < count; ++i) sums[i] += weights[site] * static_cast<double>(values[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = static_cast<double>(before[at + i]) + sums[i] / divisor;
      // Half a unit in the last place of a float, and the sum's own quantum.
      const double tolerance = std::abs(expected) * 0x1p-24 + 1e-12;
      if (std::abs(static_cast<double>(after[at + i]) - expected) <= tolerance) continue;
      return Internal(
          fmt::format("element {} of tensor {} is {}, but the mean is {}", at + i, index, after[at + i], expected));
    }
  }
  return {};
}

Result<ModelData> AggregateRound(Aggregator& aggregator, Workload& workload, const ModelData& start, int round) {
  std::vector<ModelData> updates;
  std::vector<double> weights;
  RETURN_IF_ERROR(aggregator.Begin(round, start));
  for (int site = 0; site < workload.options().sites; ++site) {
    updates.push_back(workload.UpdateOf(site, round));
    weights.push_back(workload.Iterations(site));
    Contribution contribution;
    contribution.round = round;
    contribution.site = SiteName(site);
    contribution.n_iter = weights.back();
    contribution.update = updates.back();
    RETURN_IF_ERROR(aggregator.Accept(contribution));
  }
  ASSIGN_OR_RETURN(AggregateResult result, aggregator.Finish());
  for (std::size_t i = 0; i < start.size(); ++i) {
    RETURN_IF_ERROR(CheckTensor(start[i].tensor, result.model[i].tensor, updates, weights, i));
  }
  return std::move(result.model);
}

}  // namespace

Result<std::string> ExpectedModelId(const WorkloadOptions& options) {
  Workload workload(options);
  ModelData model = workload.FirstModel();
  ASSIGN_OR_RETURN(const auto aggregator, ModelAggregator::Make(Json::object()));
  for (int round = 0; round < options.rounds; ++round) {
    ASSIGN_OR_RETURN(model, AggregateRound(*aggregator, workload, model, round));
  }
  return EncodeModel(std::move(model))->id;
}

}  // namespace fed_learn
