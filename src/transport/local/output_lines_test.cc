#include "transport/local/output_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;

class OutputLinesTest : public ::testing::Test {
 protected:
  std::vector<std::string> logged_;
  OutputLines lines_{[this](std::string_view line) { logged_.emplace_back(line); },
                     {.line_bytes = 8, .lines_kept = 3, .burst_lines = 4, .lines_per_refill = 2}};
};

TEST_F(OutputLinesTest, PiecesBecomeLines) {
  lines_.Feed("on");
  lines_.Feed("e\ntwo\n\nth");
  EXPECT_THAT(logged_, ElementsAre("one", "two", ""));
  lines_.Finish();
  EXPECT_THAT(logged_, ElementsAre("one", "two", "", "th"));
}

TEST_F(OutputLinesTest, OnlyTheLastStateOfAProgressBarIsALine) {
  lines_.Feed("10%\r20%\r100%\r\nnext\n");
  EXPECT_THAT(logged_, ElementsAre("100%", "next"));
}

TEST_F(OutputLinesTest, LongLineIsCut) {
  lines_.Feed("0123456789\n");
  EXPECT_THAT(logged_, ElementsAre("01234567", "89"));
}

TEST_F(OutputLinesTest, FloodIsCountedInsteadOfLogged) {
  for (int i = 0; i < 10; ++i) lines_.Feed(std::to_string(i) + "\n");
  EXPECT_THAT(logged_, ElementsAre("0", "1", "2", "3"));
  lines_.Refill();
  lines_.Refill();
  EXPECT_EQ(logged_.back(), "… 6 lines were left out, since they came too fast");
  EXPECT_EQ(lines_.Report(), "its last lines: 7 | 8 | 9");
}

TEST_F(OutputLinesTest, ReportIsOneEscapedLine) {
  EXPECT_EQ(lines_.Report(), "it printed nothing");
  lines_.Feed("\x1b[1mx\n");
  EXPECT_EQ(lines_.Report(), "its last lines: \\x1b[1mx");
  lines_.Forget();
  EXPECT_EQ(lines_.Report(), "it printed nothing");
}

}  // namespace
}  // namespace fed_learn
