#include "demo/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fed_learn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(LineChartTest, TicksAreRoundNumbers) {
  EXPECT_THAT(AxisTicks(0.47, 0.91, 4), ElementsAre(0.5, testing::DoubleEq(0.6), testing::DoubleEq(0.7), 0.8, 0.9));
  EXPECT_THAT(AxisTicks(0, 20, 4), ElementsAre(0, 5, 10, 15, 20));
}

TEST(LineChartTest, NothingToDrawIsStillAPicture) { EXPECT_THAT(LineChart{}.ToSvg(), HasSubstr("</svg>")); }

TEST(LineChartTest, ValuesThatAreNoNumbersAreLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LineChart chart{.lines = {{.name = "a", .values = {nan, 1, 2}}, {.name = "b", .values = {nan}}}};
  EXPECT_THAT(chart.ToSvg(), Not(HasSubstr("nan")));
  EXPECT_THAT(chart.ToSvg(), HasSubstr(">a</text>"));
}

TEST(LineChartTest, NamesCannotBreakTheMarkup) {
  EXPECT_THAT((LineChart{.title = "<script>&"}.ToSvg()), HasSubstr("&lt;script&gt;&amp;"));
}

}  // namespace
}  // namespace fed_learn
