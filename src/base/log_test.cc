#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.h"

namespace fed_learn {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { StartLog({}); }

  template <typename F>
  std::string Written(const LogOptions& options, F write) {
    ::testing::internal::CaptureStderr();
    StartLog(options);
    write();
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, ALineForPeople) {
  EXPECT_THAT(Written({}, [] { LogInfo("round {} closed", 3); }),
              MatchesRegex("[0-9-]+ [0-9:]+ info  round 3 closed\n"));
  EXPECT_THAT(Written({}, [] { LogError("no"); }), EndsWith(" error no\n"));
}

TEST_F(LogTest, ALineForMachines) {
  const std::string line = Written({.format = LogFormat::kJson}, [] { LogWarning("the \"site\" \\ {}", "ü"); });
  const Result<Json> json = ParseJson(line, "log");
  ASSERT_TRUE(json.has_value()) << line;
  EXPECT_EQ((*json)["level"], "warning");
  EXPECT_EQ((*json)["message"], "the \"site\" \\ ü");
  EXPECT_THAT((*json)["time"].get<std::string>(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:]+\\.[0-9]+Z"));
}

TEST_F(LogTest, APeerCannotForgeALine) {
  for (const LogFormat format : {LogFormat::kHuman, LogFormat::kJson}) {
    const std::string text =
        Written({.format = format}, [] { LogInfo("name {}", "x\n2026-01-01 00:00:00 info  all is well\x1b[2J\xFF"); });
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
}

TEST_F(LogTest, BracesInAMessageAreNotAFormat) {
  EXPECT_THAT(Written({}, [] { Log(LogLevel::kInfo, "{} %v {0"); }), EndsWith("{} %v {0\n"));
}

TEST_F(LogTest, WhatIsBelowTheLevelIsNotWritten) {
  const auto write = [] {
    LogDebug("a");
    LogInfo("b");
    LogWarning("c");
    Log(LogLevel::kOff, "d");
  };
  EXPECT_THAT(Written({.level = LogLevel::kWarning}, write), EndsWith("warning c\n"));
  EXPECT_EQ(Written({.level = LogLevel::kOff}, write), "");
  EXPECT_THAT(Written({.level = LogLevel::kDebug}, write), HasSubstr("debug a\n"));
}

TEST_F(LogTest, TheFileIsAppendedTo) {
  std::string folder = ::testing::TempDir() + "log_test_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/x.log";
  for (int i = 0; i < 2; ++i) Written({.file = file}, [] { LogInfo("once"); });
  std::stringstream contents;
  contents << std::ifstream(file).rdbuf();
  EXPECT_THAT(contents.str(), MatchesRegex(".* once\n.* once\n"));
  std::filesystem::remove_all(folder);
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsToldAndDoesNoHarm) {
  const std::string text = Written({.file = "/proc/none/x.log"}, [] { LogInfo("still here"); });
  EXPECT_THAT(text, HasSubstr("standard error only"));
  EXPECT_THAT(text, HasSubstr("/proc/none/x.log"));
  EXPECT_THAT(text, HasSubstr("still here"));
}

}  // namespace
}  // namespace fed_learn
