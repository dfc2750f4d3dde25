#include "client/trainer_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::UnorderedElementsAre;

TEST(TrainerEnvironmentTest, WhatProgramsNeedIsPassedOn) {
  for (const char* name : {"PATH", "HOME", "LC_ALL", "PYTHONPATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"}) {
    EXPECT_TRUE(IsPassedOn(name)) << name;
  }
}

TEST(TrainerEnvironmentTest, AnythingElseStays) {
  for (const char* name : {"", "FED_LEARN_KEY", "SSL_KEY_FILE", "AWS_SECRET_ACCESS_KEY", "HOMEPAGE", "CONDA_TOKEN",
                           "LD_PRELOAD", "PATHS", "SSH_AUTH_SOCK"}) {
    EXPECT_FALSE(IsPassedOn(name)) << name;
  }
}

TEST(TrainerEnvironmentTest, WhatTheConfigurationAddsWins) {
  EXPECT_THAT(TrainerEnvironment({{"HOME", "/home/site"}, {"PATH", "/bin"}, {"SITE_KEY", "secret"}},
                                 {{"PATH", "/opt/bin"}, {"DATA_FOLDER", "/data"}}),
              UnorderedElementsAre("HOME=/home/site", "PATH=/opt/bin", "DATA_FOLDER=/data", "PYTHONUNBUFFERED=1"));
}

TEST(TrainerEnvironmentTest, BufferingIsTheUsersChoice) {
  EXPECT_THAT(TrainerEnvironment({{"PYTHONUNBUFFERED", ""}}, {}), UnorderedElementsAre("PYTHONUNBUFFERED="));
}

TEST(TrainerEnvironmentTest, OwnEnvironmentHasThePath) { EXPECT_EQ(OwnEnvironment().count("PATH"), 1u); }

}  // namespace
}  // namespace fed_learn
