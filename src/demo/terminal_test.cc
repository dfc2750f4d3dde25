#include "demo/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fed_learn {
namespace {

TEST(TerminalTest, BarIsEmptyAtNothingAndFullAtOne) {
  EXPECT_EQ(ProgressBar(0, 10), "░░░░   0%");
  EXPECT_EQ(ProgressBar(1, 10), "████ 100%");
  EXPECT_EQ(ProgressBar(0.5, 10), "██░░  50%");
}

TEST(TerminalTest, BarTakesAnyNumber) {
  EXPECT_EQ(ProgressBar(-3, 10), ProgressBar(0, 10));
  EXPECT_EQ(ProgressBar(7, 10), ProgressBar(1, 10));
  EXPECT_EQ(ProgressBar(std::numeric_limits<double>::quiet_NaN(), 10), ProgressBar(0, 10));
  EXPECT_EQ(ProgressBar(1, 0), "█ 100%");
}

TEST(TerminalTest, ColumnsLineUpWhateverTheAlphabet) {
  EXPECT_THAT(AlignColumns({{"site", "loss"}, {"Zürich", "1"}, {"x"}}),
              testing::ElementsAre("site    loss", "Zürich     1", "x     "));
  EXPECT_TRUE(AlignColumns({}).empty());
}

TEST(TerminalTest, AFileGetsWholeLinesAndNoBlock) {
  std::FILE* file = std::tmpfile();
  {
    Terminal terminal(file);
    EXPECT_FALSE(terminal.live());
    terminal.Redraw({"block"});
    terminal.Print("line");
  }
  std::rewind(file);
  char text[64] = {};
  const std::size_t size = std::fread(text, 1, sizeof(text) - 1, file);
  EXPECT_EQ(std::string(text, size), "line\n");
  std::fclose(file);
}

}  // namespace
}  // namespace fed_learn
