#include "trainers/c_index.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace fed_learn {
namespace {

// How many of the ranks put in are below a given one (Fenwick, 1994).
class RankCounts {
 public:
  explicit RankCounts(std::size_t ranks) : tree_(ranks + 1, 0) {}

  void Add(std::size_t rank) {
    for (std::size_t i = rank + 1; i < tree_.size(); i += i & (0 - i)) ++tree_[i];
  }

  std::uint64_t Below(std::size_t rank) const {
    std::uint64_t count = 0;
    for (std::size_t i = rank; i > 0; i -= i & (0 - i)) count += tree_[i];
    return count;
  }

 private:
  std::vector<std::uint64_t> tree_;
};

// Equal values share a rank.
std::vector<std::size_t> RanksOf(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<std::size_t> ranks;
  ranks.reserve(values.size());
  for (const double value : values) {
    ranks.push_back(static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin()));
  }
  return ranks;
}

}  // namespace

std::optional<double> ConcordanceIndex(std::span<const double> times, std::span<const double> events,
                                       std::span<const double> risks) {
  const std::vector<std::size_t> ranks = RanksOf(risks);
  std::vector<std::size_t> order(times.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return times[a] > times[b]; });

  RankCounts outlived(times.size());  // those who are known to have lived longer than the group at hand
  std::uint64_t counted = 0;
  std::uint64_t known = 0;
  std::uint64_t halves = 0;  // 2 for a concordant pair, 1 for equal risks
  for (auto group = order.begin(); group != order.end();) {
    const auto group_end = std::find_if(group, order.end(), [&](std::size_t i) { return times[i] != times[*group]; });
    const auto events_begin = std::partition(group, group_end, [&](std::size_t i) { return events[i] == 0; });
    std::for_each(group, events_begin, [&](std::size_t i) { outlived.Add(ranks[i]); });
    counted += static_cast<std::uint64_t>(events_begin - group);
    std::for_each(events_begin, group_end, [&](std::size_t i) {
      halves += outlived.Below(ranks[i]) + outlived.Below(ranks[i] + 1);
      known += counted;
    });
    std::for_each(events_begin, group_end, [&](std::size_t i) { outlived.Add(ranks[i]); });
    counted += static_cast<std::uint64_t>(group_end - events_begin);
    group = group_end;
  }
  if (known == 0) return std::nullopt;
  return static_cast<double>(halves) / 2 / static_cast<double>(known);
}

}  // namespace fed_learn
