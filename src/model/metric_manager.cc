#include "model/metric_manager.h"

#include <algorithm>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

Status CheckName(std::string_view name, std::string_view kind, std::string_view path) {
  if (name.empty()) return InvalidArgument(std::string(path) + ": a " + std::string(kind) + " has an empty name");
  if (!IsUtf8(name)) {
    return InvalidArgument(std::string(path) + ": the name of a " + std::string(kind) + " is not UTF-8: '" +
                           Escaped(name) + "'");
  }
  return {};
}

Status CheckGroup(std::string_view group, const MetricGroup& metrics) {
  RETURN_IF_ERROR(CheckName(group, "group", "metrics"));
  const std::string path = "metrics['" + Escaped(group) + "']";
  for (const auto& [name, value] : metrics) RETURN_IF_ERROR(CheckName(name, "metric", path));
  return {};
}

bool MustEscape(unsigned char c) { return c == '%' || c == '/' || c < 0x20 || c == 0x7f; }

std::string EscapeName(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (MustEscape(byte)) {
      text += {'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
    } else {
      text += c;
    }
  }
  return text;
}

// 0…15, or -1 for what is no hexadecimal digit.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Result<std::string> UnescapeName(std::string_view text, std::string_view key) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      name += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return InvalidArgument("metric key '" + Escaped(key) + "' has a '%' without two hexadecimal digits after it");
    }
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return name;
}

}  // namespace

Status ValidateMetrics(const MetricMap& metrics) {
  for (const auto& [group, values] : metrics) RETURN_IF_ERROR(CheckGroup(group, values));
  return {};
}

Result<MetricManager> MetricManager::From(MetricMap metrics) {
  RETURN_IF_ERROR(ValidateMetrics(metrics));
  MetricManager manager;
  manager.metrics_ = std::move(metrics);
  return manager;
}

Status MetricManager::AddGroup(std::string_view group, const MetricGroup& metrics) {
  RETURN_IF_ERROR(CheckGroup(group, metrics));
  MetricGroup& into = metrics_[std::string(group)];
  for (const auto& [name, value] : metrics) into[name] = value;
  return {};
}

std::optional<MetricGroup> MetricManager::GetGroup(std::string_view group) const {
  const auto found = metrics_.find(std::string(group));
  if (found == metrics_.end()) return std::nullopt;
  return found->second;
}

EncodedMetrics MetricManager::Encode() const {
  EncodedMetrics encoded;
  for (const auto& [group, values] : metrics_) {
    for (const auto& [name, value] : values) encoded[EscapeName(group) + "/" + EscapeName(name)] = value;
  }
  return encoded;
}

Result<MetricManager> DecodeMetrics(const EncodedMetrics& encoded) {
  MetricMap metrics;
  for (const auto& [key, value] : encoded) {
    if (std::count(key.begin(), key.end(), '/') != 1) {
      return InvalidArgument("metric key '" + Escaped(key) + "' is not of the form group/metric, with one '/'");
    }
    const std::size_t slash = key.find('/');
    ASSIGN_OR_RETURN(const std::string group, UnescapeName(std::string_view(key).substr(0, slash), key));
    ASSIGN_OR_RETURN(const std::string name, UnescapeName(std::string_view(key).substr(slash + 1), key));
    if (!metrics[group].emplace(name, value).second) {
      return InvalidArgument("metric key '" + Escaped(key) + "' names a metric that another key has named");
    }
  }
  return MetricManager::From(std::move(metrics));
}

}  // namespace fed_learn
