#include "identity/name.h"

#include <gtest/gtest.h>

#include <string>

namespace fed_learn {
namespace {

TEST(NameTest, LettersDigitsAndFourSignsMakeAName) {
  for (const char* name : {"a", "site_1", "St.Mary-2", "lead@example.org", "0"}) {
    EXPECT_TRUE(CheckSiteName(name).has_value()) << name;
  }
  EXPECT_TRUE(CheckSiteName(std::string(64, 'a')).has_value());
}

TEST(NameTest, WhatCouldLeaveItsFolderIsRefused) {
  for (const char* name :
       {"", ".", "..", "../a", "a/b", "/a", ".hidden", "-rf", "_authority", "a b", "a\n", "a\\b", "é", "a.zip"}) {
    EXPECT_FALSE(CheckSiteName(name).has_value()) << name;
  }
  EXPECT_FALSE(CheckSiteName(std::string("a\0b", 3)).has_value());
  EXPECT_FALSE(CheckSiteName(std::string(65, 'a')).has_value());
}

TEST(NameTest, AControlCharacterIsEscapedInTheError) {
  EXPECT_EQ(CheckName("a\x1b[1m").error().message().find('\x1b'), std::string::npos);
}

TEST(NameTest, OnlyTheServerIsCalledServer) {
  EXPECT_TRUE(CheckName("server").has_value());
  EXPECT_FALSE(CheckSiteName("server").has_value());
  EXPECT_FALSE(CheckSiteName("Server").has_value());
  EXPECT_TRUE(CheckSiteName("server_2").has_value());
}

TEST(NameTest, HostNamesAndAddressesAreHosts) {
  for (const char* host : {"localhost", "fl.example.org", "10.0.0.1", "::1", "2001:db8::7", "a-b.c", "1.example.org"}) {
    EXPECT_TRUE(CheckHost(host).has_value()) << host;
  }
}

TEST(NameTest, WhatIsNoHostIsRefused) {
  for (const char* host :
       {"", ".", "a..b", "a.", "-a", "a:8002", "10.0.0", "10.0.0.256", "a b", "DNS:a,IP:1.2.3.4", "https://a"}) {
    EXPECT_FALSE(CheckHost(host).has_value()) << host;
  }
  EXPECT_FALSE(CheckHost(std::string(254, 'a')).has_value());
}

}  // namespace
}  // namespace fed_learn
