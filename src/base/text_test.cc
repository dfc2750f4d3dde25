#include "base/text.h"

#include <gtest/gtest.h>

namespace fed_learn {
namespace {

TEST(DidYouMeanTest, ATypoFindsTheNearestName) {
  EXPECT_EQ(DidYouMean("min_client", {"max_clients", "min_clients", "rounds"}), "; did you mean 'min_clients'?");
}

TEST(DidYouMeanTest, AForeignWordListsWhatThereIs) {
  EXPECT_EQ(DidYouMean("banana", {"fedavg", "round_robin"}), "; known: fedavg, round_robin");
}

TEST(DidYouMeanTest, ALongListIsShortened) {
  const std::vector<std::string> known(15, "something_else");
  EXPECT_TRUE(DidYouMean("banana", known).ends_with(" and 3 more"));
}

TEST(DidYouMeanTest, NothingKnownSaysNothing) { EXPECT_EQ(DidYouMean("banana", {}), ""); }

TEST(DidYouMeanTest, AnEmptyWordIsNotATypoOfALongName) { EXPECT_EQ(DidYouMean("", {"fedavg"}), "; known: fedavg"); }

TEST(IsUtf8Test, WellFormedTextOfEveryLengthIs) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a"));
  EXPECT_TRUE(
      IsUtf8("Gr\xC3\xB6\xC3\x9F"
             "e \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_TRUE(IsUtf8("\xF4\x8F\xBF\xBF"));
}

TEST(IsUtf8Test, MalformedTextIsNot) {
  for (const std::string_view text : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80", "\xFF", "ok\xE2\x82"}) {
    EXPECT_FALSE(IsUtf8(text)) << Escaped(text);
  }
}

TEST(HumanBytesTest, ThreeDigitsOfTheRightUnit) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1000), "1 kB");
  EXPECT_EQ(HumanBytes(12'000), "12 kB");
  EXPECT_EQ(HumanBytes(999'600), "1 MB");
  EXPECT_EQ(HumanBytes(1'500'000'000), "1.5 GB");
  EXPECT_EQ(HumanBytes(~std::uint64_t{0}), "18.4 EB");
}

TEST(HumanSecondsTest, TwoUnitsAtMost) {
  EXPECT_EQ(HumanSeconds(0), "0 s");
  EXPECT_EQ(HumanSeconds(25e-6), "25 us");
  EXPECT_EQ(HumanSeconds(0.04), "40 ms");
  EXPECT_EQ(HumanSeconds(3.2), "3.2 s");
  EXPECT_EQ(HumanSeconds(59.97), "1 min");
  EXPECT_EQ(HumanSeconds(125), "2 min 5 s");
  EXPECT_EQ(HumanSeconds(7500), "2 h 5 min");
  EXPECT_EQ(HumanSeconds(86400 + 4 * 3600), "1 d 4 h");
  EXPECT_EQ(HumanSeconds(-0.04), "-40 ms");
  EXPECT_EQ(HumanSeconds(1e300), "forever");
}

TEST(EscapedTest, ALineCannotBeBrokenNorATerminalColoured) {
  EXPECT_EQ(Escaped(""), "");
  EXPECT_EQ(Escaped("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(Escaped("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(Escaped(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Escaped("\xC2\x9B"
                    "31m"),
            "\\u009b31m");
  EXPECT_EQ(Escaped("\xE2\x80\xAE"), "\\u202e");
}

TEST(EscapedTest, OtherTextStaysAndBrokenUtf8Shows) {
  EXPECT_EQ(Escaped("Gr\xC3\xB6\xC3\x9F"
                    "e \\ \"x\""),
            "Gr\xC3\xB6\xC3\x9F"
            "e \\ \"x\"");
  EXPECT_EQ(Escaped("a\xFF"
                    "b"),
            "a\\xffb");
}

}  // namespace
}  // namespace fed_learn
