#include "demo/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace fed_learn {
namespace {

constexpr double kWidth = 860;
constexpr double kHeight = 440;
constexpr double kLeft = 64;
constexpr double kRight = 210;  // room for the names
constexpr double kTop = 48;
constexpr double kBottom = 52;
constexpr double kNameHeight = 16;
// Distinct for colour-blind readers (Okabe and Ito); the first is for the strong line.
constexpr std::array<const char*, 7> kColours = {"#0072B2", "#E69F00", "#009E73", "#CC79A7",
                                                 "#56B4E9", "#D55E00", "#999933"};

std::string Escape(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else if (c == '>')
      escaped += "&gt;";
    else
      escaped += c;
  }
  return escaped;
}

// A name beside the curves, moved so that none covers another.
struct Label {
  std::string text;
  std::string colour;
  double y;
};

void Spread(std::vector<Label>& labels) {
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  for (std::size_t i = 1; i < labels.size(); ++i) labels[i].y = std::max(labels[i].y, labels[i - 1].y + kNameHeight);
  const double overflow = labels.empty() ? 0 : labels.back().y - (kHeight - kBottom);
  if (overflow <= 0) return;
  labels.back().y -= overflow;
  for (std::size_t i = labels.size() - 1; i-- > 0;) labels[i].y = std::min(labels[i].y, labels[i + 1].y - kNameHeight);
}

class Drawing {
 public:
  explicit Drawing(const LineChart& chart) : chart_(chart) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    const auto reach = [&](double value) {
      if (!std::isfinite(value)) return;
      low = std::min(low, value);
      high = std::max(high, value);
    };
    for (const ChartLine& line : chart.lines) {
      for (double value : line.values) reach(value);
      rounds_ = std::max(rounds_, line.values.size());
    }
    for (const ChartLevel& level : chart.levels) reach(level.value);
    if (low > high) low = 0, high = 1;
    const double margin = std::max((high - low) * 0.06, 1e-6);
    low_ = low - margin;
    high_ = high + margin;
  }

  std::string Svg() {
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
        "font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        "<text x=\"{2}\" y=\"26\" font-size=\"15\" font-weight=\"bold\">{3}</text>\n",
        kWidth, kHeight, kLeft, Escape(chart_.title));
    Axes();
    Levels();
    Lines();
    Names();
    return svg_ + "</svg>\n";
  }

 private:
  double X(double round) const {
    const double span = std::max<double>(static_cast<double>(rounds_) - 1, 1);
    return kLeft + (round - 1) / span * (kWidth - kLeft - kRight);
  }
  double Y(double value) const { return kTop + (high_ - value) / (high_ - low_) * (kHeight - kTop - kBottom); }

  void Axes() {
    for (double tick : AxisTicks(low_, high_, 6)) {
      svg_ += fmt::format(
          "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#e4e4e4\"/>\n"
          "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#555\">{:g}</text>\n",
          kLeft, kWidth - kRight, Y(tick), Y(tick), kLeft - 8, Y(tick) + 4, tick);
    }
    const std::size_t step = std::max<std::size_t>(1, (rounds_ + 9) / 10);
    for (std::size_t round = 1; round <= rounds_; round += step) {
      svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\n",
                          X(static_cast<double>(round)), kHeight - kBottom + 18, round);
    }
    svg_ += fmt::format(
        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n"
        "<text transform=\"translate(16 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        (kLeft + kWidth - kRight) / 2, kHeight - 12, Escape(chart_.x_label), (kTop + kHeight - kBottom) / 2,
        Escape(chart_.y_label));
  }

  void Levels() {
    for (const ChartLevel& level : chart_.levels) {
      svg_ += fmt::format(
          "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#888\" stroke-dasharray=\"5 4\"/>\n", kLeft,
          kWidth - kRight, Y(level.value), Y(level.value));
      labels_.push_back({level.name, "#666", Y(level.value)});
    }
  }

  void Lines() {
    std::size_t colour = 1;
    for (const ChartLine& line : chart_.lines) {
      const std::string stroke = line.strong ? kColours[0] : kColours[colour++ % kColours.size()];
      std::string points;
      double last = std::numeric_limits<double>::quiet_NaN();
      for (std::size_t i = 0; i < line.values.size(); ++i) {
        if (!std::isfinite(line.values[i])) continue;
        last = Y(line.values[i]);
        points += fmt::format("{:.1f},{:.1f} ", X(static_cast<double>(i + 1)), last);
      }
      if (points.empty()) continue;
      svg_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" points=\"{}\"/>\n", stroke,
                          line.strong ? 3.5 : 1.5, points);
      labels_.push_back({line.name, stroke, last});
    }
  }

  void Names() {
    Spread(labels_);
    for (const Label& label : labels_) {
      svg_ += fmt::format("<text x=\"{}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", kWidth - kRight + 10, label.y + 4,
                          label.colour, Escape(label.text));
    }
  }

  const LineChart& chart_;
  std::size_t rounds_ = 1;
  double low_ = 0;
  double high_ = 1;
  std::string svg_;
  std::vector<Label> labels_;
};

}  // namespace

std::vector<double> AxisTicks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double share = rough / power;
  const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  for (double n = std::ceil(low / step); n * step <= high; ++n) ticks.push_back(n * step);
  return ticks;
}

std::string LineChart::ToSvg() const { return Drawing(*this).Svg(); }

}  // namespace fed_learn
