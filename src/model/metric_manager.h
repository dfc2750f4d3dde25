// MetricManager: metrics in two levels, group → name → value, as Clara Train 3.1's class of that name; and the
// one-level form that travels. A value type; not thread-safe while it is being changed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fed_learn {

using MetricGroup = std::map<std::string, double>;
using MetricMap = std::map<std::string, MetricGroup>;
using EncodedMetrics = std::map<std::string, double>;

class MetricManager {
 public:
  MetricManager() = default;

  // InvalidArgument, with the path to the item, for an empty name or one that is not UTF-8.
  static Result<MetricManager> From(MetricMap metrics);

  // Merges into a group of that name; the newer value of a metric wins. InvalidArgument as above.
  Status AddGroup(std::string_view group, const MetricGroup& metrics);

  std::optional<MetricGroup> GetGroup(std::string_view group) const;
  const MetricMap& ToMap() const { return metrics_; }

  // "group/metric" → value; '%', '/' and control characters inside a name are written %XX.
  EncodedMetrics Encode() const;

 private:
  MetricMap metrics_;
};

// The inverse of Encode. InvalidArgument naming a key without exactly one '/' or with a bad escape.
Result<MetricManager> DecodeMetrics(const EncodedMetrics& encoded);

// The shape that MetricManager::From accepts. NaN and infinities are legal values.
Status ValidateMetrics(const MetricMap& metrics);

}  // namespace fed_learn
