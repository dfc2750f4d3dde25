// LineChart: curves over rounds as a small SVG, readable in a README and in print. Pure text; no fonts are embedded.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fed_learn {

struct ChartLine {
  std::string name;
  std::vector<double> values;  // one a round, from round 1 on
  bool strong = false;         // drawn thick, in the first colour
};

// A level to compare with, drawn dashed across the whole width.
struct ChartLevel {
  std::string name;
  double value = 0;
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartLine> lines;
  std::vector<ChartLevel> levels;

  std::string ToSvg() const;
};

// Round numbers that divide low…high into about `count` steps; low < high.
std::vector<double> AxisTicks(double low, double high, int count);

}  // namespace fed_learn
