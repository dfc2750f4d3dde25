#include "provision/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kWhole = R"(name: liver
server:
  host: fl.example.org
  alt_names: [localhost, 10.0.0.1]
  fed_learn_port: 9002
  org: Center
  min_num_clients: 2
  max_num_clients: 8
fl_clients:
  - client_name: site_1
    org: St. Mary
  - client_name: site_2
    own_key: true
admin_clients:
  - email: lead@example.org
    org: Center
key_type: ed25519
days: 90
)";

Project Parse(std::string_view text) {
  auto project = ParseProject(text, "project.yml");
  EXPECT_TRUE(project.has_value()) << project.error().message();
  return project.has_value() ? *std::move(project) : Project();
}

void ExpectRefused(std::string_view text, std::string_view message) {
  const auto project = ParseProject(text, "project.yml");
  ASSERT_FALSE(project.has_value()) << text;
  EXPECT_EQ(project.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_THAT(project.error().message(), HasSubstr(message));
  EXPECT_EQ(project.error().message().find('\n'), std::string::npos);
}

TEST(ProjectTest, EveryKeyIsRead) {
  const Project project = Parse(kWhole);
  EXPECT_EQ(project.name, "liver");
  EXPECT_EQ(project.server.host, "fl.example.org");
  EXPECT_THAT(project.server.alt_names, ElementsAre("localhost", "10.0.0.1"));
  EXPECT_EQ(project.server.port, 9002);
  EXPECT_EQ(project.server.org, "Center");
  EXPECT_EQ(project.server.min_num_clients, 2);
  EXPECT_EQ(project.server.max_num_clients, 8);
  ASSERT_EQ(project.sites.size(), 2u);
  EXPECT_EQ(project.sites[0].name, "site_1");
  EXPECT_EQ(project.sites[0].org, "St. Mary");
  EXPECT_FALSE(project.sites[0].own_key);
  EXPECT_TRUE(project.sites[1].own_key);
  ASSERT_EQ(project.admins.size(), 1u);
  EXPECT_EQ(project.admins[0].email, "lead@example.org");
  EXPECT_EQ(project.key_type, KeyType::kEd25519);
  EXPECT_EQ(project.days, 90);
  EXPECT_THAT(project.notes, IsEmpty());
}

TEST(ProjectTest, AServerAndNobodyElseIsAProject) {
  const Project project = Parse("{name: p, server: {host: localhost}, fl_clients: , admin_clients: []}");
  EXPECT_EQ(project.server.port, 8002);
  EXPECT_FALSE(project.server.min_num_clients.has_value());
  EXPECT_THAT(project.sites, IsEmpty());
  EXPECT_EQ(project.key_type, KeyType::kP256);
  EXPECT_EQ(project.days, 365);
}

TEST(ProjectTest, ClarasKeysAreUnderstoodOrNoted) {
  const Project project = Parse(R"(name: p
server:
  org: nvidia
  cn: example.com
  fed_learn_port: 8002
  admin_port: 8003
  admin_storage: transfer
  email: me@example.com
)");
  EXPECT_EQ(project.server.host, "example.com");
  EXPECT_THAT(project.notes, ElementsAre(HasSubstr("project.yml:6: 'admin_port' has no effect"),
                                         HasSubstr("project.yml:7: 'admin_storage' has no effect"),
                                         HasSubstr("project.yml:8: 'email'")));
}

TEST(ProjectTest, AnUnknownKeyIsNamedWithItsLineAndTheNearestKnownOne) {
  ExpectRefused("name: p\nserver: {host: a}\nfl_client: []\n",
                "project.yml:3: unknown key 'fl_client' in the project; did you mean 'fl_clients'?");
  ExpectRefused("name: p\nserver:\n  hosst: a\n",
                "project.yml:3: unknown key 'hosst' in 'server'; did you mean 'host'?");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients:\n- client_nam: a\n", "did you mean 'client_name'?");
}

TEST(ProjectTest, AKeyThatIsMissingIsNamed) {
  ExpectRefused("name: p\n", "the project lacks the key 'server'");
  ExpectRefused("server: {host: a}\n", "the project lacks the key 'name'");
  ExpectRefused("name: p\nserver: {org: a}\n", "project.yml:2: 'server' lacks the key 'host'");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients:\n- org: a\n",
                "project.yml:4: a site of 'fl_clients' lacks the key");
}

TEST(ProjectTest, AValueOfTheWrongKindIsNamedWithItsLine) {
  ExpectRefused("name: p\nserver: {host: a,\n fed_learn_port: 70000}\n",
                "project.yml:3: 'fed_learn_port' has to be a number from 1 to 65535");
  ExpectRefused("name: p\nserver: {host: a, fed_learn_port: 80b}\n", "'fed_learn_port'");
  ExpectRefused("name: p\nserver: {host: a, fed_learn_port: []}\n", "'fed_learn_port'");
  ExpectRefused("name: [p]\nserver: {host: a}\n", "project.yml:1: 'name' has to be a text");
  ExpectRefused("name: p\nserver: a\n", "project.yml:2: 'server' has to be a mapping");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients: {a: b}\n", "project.yml:3: 'fl_clients' has to be a list");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients: [a]\n",
                "project.yml:3: a site of 'fl_clients' has to be a mapping");
  ExpectRefused("name: p\nserver: {host: a}\nkey_type: rsa\n", "project.yml:3: 'key_type': 'rsa' is not a key type");
  ExpectRefused("name: p\nserver: {host: a}\ndays: 0\n", "'days' has to be a number from 1 to 3650");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients: [{client_name: a, own_key: 3}]\n", "true or false");
  ExpectRefused("name: p\nserver: {host: a, min_num_clients: 3, max_num_clients: 2}\n", "'max_num_clients' is less");
}

TEST(ProjectTest, NamesAreChecked) {
  ExpectRefused("name: ../p\nserver: {host: a}\n", "project.yml:1: 'name': '../p' cannot be a name");
  ExpectRefused("name: p\nserver: {host: a b}\n", "'host': 'a b' is neither a host name");
  ExpectRefused("name: p\nserver: {host: a, alt_names: [b, 'c,d']}\n", "'c,d' is neither a host name");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients:\n- client_name: server\n",
                "project.yml:4: 'client_name': 'server'");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients:\n- client_name: a\n- client_name: a\n",
                "project.yml:5: the name 'a' stands twice");
  ExpectRefused("name: p\nserver: {host: a}\nfl_clients: [{client_name: a}]\nadmin_clients: [{email: a}]\n",
                "project.yml:4: the name 'a' stands twice");
}

TEST(ProjectTest, BothWordsForTheHostAreTooMany) {
  ExpectRefused("name: p\nserver: {host: a, cn: a}\n", "'cn' is Clara's word for 'host'");
}

TEST(ProjectTest, AKeyThatStandsTwiceIsRefused) {
  ExpectRefused("name: p\nname: q\nserver: {host: a}\n", "project.yml:2: the key 'name' stands twice");
}

TEST(ProjectTest, WhatIsNoYamlIsRefused) {
  ExpectRefused("", "project.yml:1: the project has to be a mapping");
  ExpectRefused("name: [p\n", "not valid YAML");
  ExpectRefused("name: p\n  server: a: b\n", "project.yml:2: not valid YAML");
  ExpectRefused("- a\n", "the project has to be a mapping");
}

}  // namespace
}  // namespace fed_learn
