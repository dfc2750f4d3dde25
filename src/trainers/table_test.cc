#include "trainers/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/simulated_disk.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table Parsed(std::string_view text) {
  auto table = Table::Parse(text, "t.csv");
  EXPECT_TRUE(table.has_value()) << table.error().message();
  return std::move(table).value_or(Table());
}

std::string ErrorOf(std::string_view text) {
  const auto table = Table::Parse(text, "t.csv");
  EXPECT_FALSE(table.has_value()) << text;
  return table.has_value() ? "" : table.error().message();
}

TEST(TableTest, CellsStandWhereTheyWereWritten) {
  const Table table = Parsed("a,b\n1,x\n2,\n");
  EXPECT_THAT(table.columns(), ElementsAre("a", "b"));
  ASSERT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.Cell(0, 1), "x");
  EXPECT_EQ(table.Cell(1, 0), "2");
  EXPECT_EQ(table.Cell(1, 1), "");
}

TEST(TableTest, HeaderAloneHasNoRows) {
  for (const std::string_view text : {"a,b", "a,b\n", "a,b\r\n", "\n\na,b\n\n"}) EXPECT_EQ(Parsed(text).rows(), 0u);
}

TEST(TableTest, EmptyTextIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("t.csv is empty"));
  EXPECT_THAT(ErrorOf("\n\r\n"), HasSubstr("t.csv is empty"));
}

TEST(TableTest, QuotedCellsHoldCommasQuotesAndLineEnds) {
  const Table table = Parsed("\"a, \"\"x\"\"\",b\r\n\"1\r\n2\",\"\"\r\n3,4");
  EXPECT_THAT(table.columns(), ElementsAre("a, \"x\"", "b"));
  EXPECT_EQ(table.Cell(0, 0), "1\r\n2");
  EXPECT_EQ(table.Cell(0, 1), "");
  EXPECT_EQ(table.Cell(1, 1), "4");
  EXPECT_EQ(table.Where(1), "t.csv, line 4");
}

TEST(TableTest, ByteOrderMarkIsNoPartOfTheFirstName) {
  EXPECT_THAT(Parsed("\xEF\xBB\xBF"
                     "a\n1\n")
                  .columns(),
              ElementsAre("a"));
}

TEST(TableTest, RowOfAnotherLengthIsRefused) {
  EXPECT_THAT(ErrorOf("a,b\n1,2\n1\n"), HasSubstr("t.csv, line 3 has 1 cells, but the header has 2"));
  EXPECT_THAT(ErrorOf("a,b\n1,2,\n"), HasSubstr("line 2 has 3 cells"));
}

TEST(TableTest, MisplacedQuotesAreRefused) {
  EXPECT_THAT(ErrorOf("a\n\"1\n2"), HasSubstr("line 2 opens a quote that is never closed"));
  EXPECT_THAT(ErrorOf("a\n1\"2\n"), HasSubstr("line 2 has a quote inside a cell"));
  EXPECT_THAT(ErrorOf("a\n\"1\"2\n"), HasSubstr("line 2 has text after the closing quote"));
}

TEST(TableTest, UnnamedAndRepeatedColumnsAreRefused) {
  EXPECT_THAT(ErrorOf("a,,c\n"), HasSubstr("column 2 has no name"));
  EXPECT_THAT(ErrorOf("a,b,a\n"), HasSubstr("names column 'a' twice"));
}

TEST(TableTest, MissingColumnIsNamedWithTheNearest) {
  const auto found = Parsed("age,time\n").Find("tine");
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(found.error().message(), AllOf(HasSubstr("t.csv has no column 'tine'"), HasSubstr("'time'")));
}

TEST(TableTest, NumbersAreRead) {
  const Table table = Parsed("a\n-1.5e2\n0\n");
  EXPECT_EQ(table.Number(0, 0).value(), -150);
  EXPECT_EQ(table.Number(1, 0).value(), 0);
}

TEST(TableTest, TextInANumberIsNamedByFileLineAndColumn) {
  for (const std::string text : {"12x", "n/a", "nan", "inf", "1e999", " 1", "0x10"}) {
    const Table table = Parsed("pid,age\np1,3\np2," + text + "\n");
    const auto number = table.Number(1, 1);
    ASSERT_FALSE(number.has_value()) << text;
    EXPECT_EQ(number.error().message(),
              "t.csv, line 3, column 'age' holds '" + text + "', where a finite number is needed");
  }
}

TEST(TableTest, EmptyCellIsNoNumber) {
  EXPECT_THAT(Parsed("a,b\n,1\n").Number(0, 0).error().message(), HasSubstr("line 2, column 'a' is empty"));
}

TEST(TableTest, FileThatIsNotThereIsNamed) {
  SimulatedDisk disk;
  const auto table = Table::Read(disk, "data/none.csv");
  ASSERT_FALSE(table.has_value());
  EXPECT_EQ(table.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(table.error().message(), HasSubstr("none.csv"));
}

}  // namespace
}  // namespace fed_learn
