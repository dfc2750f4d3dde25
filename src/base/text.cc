#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace fed_learn {
namespace {

constexpr std::size_t kNamesListedMax = 12;

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: the text does not begin with well-formed UTF-8
};

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

// The first code point of `text`, by table 3-7 of the Unicode Standard: no overlong form, no surrogate, no more than
// U+10FFFF. REQUIRES: text is not empty.
CodePoint FirstCodePoint(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  std::size_t bytes = 0;
  if (lead >= 0xC2 && lead <= 0xDF) bytes = 2;
  if (lead >= 0xE0 && lead <= 0xEF) bytes = 3;
  if (lead >= 0xF0 && lead <= 0xF4) bytes = 4;
  if (bytes == 0 || text.size() < bytes) return {};
  char32_t value = lead & (0x7Fu >> bytes);
  for (const char c : text.substr(1, bytes - 1)) {
    if (!IsContinuation(c)) return {};
    value = (value << 6) | (static_cast<unsigned char>(c) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {};
  return {value, bytes};
}

// What moves the cursor, breaks the line or turns the direction of the text around.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

std::string EscapedControl(char32_t c) {
  switch (c) {
    case U'\n':
      return "\\n";
    case U'\r':
      return "\\r";
    case U'\t':
      return "\\t";
    default:
      return c < 0x80 ? fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c))
                      : fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
  }
}

std::string TwoUnits(std::uint64_t total, std::uint64_t per_large, std::string_view large, std::string_view small) {
  const std::uint64_t rest = total % per_large;
  if (rest == 0) return fmt::format("{} {}", total / per_large, large);
  return fmt::format("{} {} {} {}", total / per_large, large, rest, small);
}

}  // namespace

std::string DidYouMean(std::string_view word, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const auto distance = [&](const std::string& name) { return EditDistance(word, name); };
  const auto nearest = std::min_element(known.begin(), known.end(), [&](const std::string& a, const std::string& b) {
    return distance(a) < distance(b);
  });
  if (distance(*nearest) <= std::max<std::size_t>(1, word.size() / 3)) {
    return fmt::format("; did you mean '{}'?", *nearest);
  }
  const auto listed = static_cast<std::ptrdiff_t>(std::min(known.size(), kNamesListedMax));
  std::string list = fmt::format("; known: {}", fmt::join(known.begin(), known.begin() + listed, ", "));
  if (known.size() > kNamesListedMax) list += fmt::format(" and {} more", known.size() - kNamesListedMax);
  return list;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = FirstCodePoint(text);
    if (first.bytes == 0) return false;
    text.remove_prefix(first.bytes);
  }
  return true;
}

std::string HumanBytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 7> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 999.5 and above would print as 1000 of the smaller unit.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}", value, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  if (std::isnan(seconds)) return "unknown";
  if (seconds < 0) return "-" + HumanSeconds(-seconds);
  if (seconds == 0) return "0 s";
  if (seconds < 0.9995e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.3g} s", seconds);
  if (seconds > 1e15) return "forever";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return TwoUnits(whole, 60, "min", "s");
  const std::uint64_t minutes = (whole + 30) / 60;
  if (minutes < 24 * 60) return TwoUnits(minutes, 60, "h", "min");
  return TwoUnits((minutes + 30) / 60, 24, "d", "h");
}

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint first = FirstCodePoint(text);
    if (first.bytes == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (IsControl(first.value)) {
      out += EscapedControl(first.value);
    } else {
      out += text.substr(0, first.bytes);
    }
    text.remove_prefix(first.bytes);
  }
  return out;
}

}  // namespace fed_learn
