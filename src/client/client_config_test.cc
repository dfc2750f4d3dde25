#include "client/client_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::string_view kClara = R"({
  "servers": [{"name": "liver", "service": {"target": "fl.example.org:8002", "options": [["grpc.x", 1]]}}],
  "client": {
    "local_epochs": 2, "steps_aggregation": 0, "exclude_vars": "^head/", "cross_site_validate": true,
    "privacy": {"name": "PercentileProtocol", "args": {"percentile": 20, "gamma": 0.5}},
    "pre_processors": [{"name": "IteratorNumberGenerator", "args": {"field": "n_iter"}}],
    "post_processors": [{"name": "ModelDecryptor", "args": {}}],
    "req_processors": [{"name": "StartClientProcessor"}, {"name": "ClientStatusProcessor"},
                       {"name": "DeployProcessor"}],
    "model_reader_writer": {"name": "PTModelReaderWriter"}, "model_validator": {"name": "TFModelValidator"},
    "client_state_processors": [{"name": "RoundRobinClientStateProcessor"}],
    "retry_timeout": 45, "ssl_private_key": "client.key", "ssl_cert": "client.crt", "ssl_root_cert": "rootCA.pem",
    "compression": "Gzip"
  }
})";

std::string ErrorOf(const Result<ClientConfig>& config) { return config.has_value() ? "" : config.error().message(); }
std::string ErrorOf(std::string_view text) { return ErrorOf(ParseClientConfig(text, "config_fed_client.json")); }

TEST(ClientConfigTest, TheLeastConfigurationTakesTheDefaultsOfTheSchema) {
  const ClientConfig config = ParseClientConfig(R"({"servers": [{"name": "liver", "service": {}}]})", "c.json").value();
  const Json& client = ClientConfigSchema().json().at("properties").at("client").at("properties");
  const auto fallback = [&](const char* key) { return client.at(key).at("default"); };
  EXPECT_EQ(config.task_name, "liver");
  EXPECT_EQ(config.target, "");
  EXPECT_EQ(config.local_epochs, fallback("local_epochs"));
  EXPECT_EQ(config.steps_aggregation, fallback("steps_aggregation"));
  EXPECT_EQ(config.cross_site_validate, fallback("cross_site_validate"));
  EXPECT_EQ(config.retry_timeout.count(), fallback("retry_timeout"));
  EXPECT_EQ(config.trainer_stall_timeout.count(), fallback("trainer_stall_timeout"));
  EXPECT_THAT(config.exclude_vars, IsEmpty());
  EXPECT_THAT(config.privacy, IsEmpty());
  EXPECT_THAT(config.ignored, IsEmpty());
}

TEST(ClientConfigTest, ClarasKeysAreRead) {
  const ClientConfig config = ParseClientConfig(kClara, "startup/c.json").value();
  EXPECT_EQ(config.target, "fl.example.org:8002");
  EXPECT_EQ(config.tls.private_key, "startup/client.key");
  EXPECT_EQ(config.local_epochs, 2);
  EXPECT_THAT(config.exclude_vars, ElementsAre("^head/"));
  EXPECT_TRUE(config.cross_site_validate);
  EXPECT_EQ(config.privacy.at(0).args.at("percentile"), 20);
  EXPECT_EQ(config.pre_processors.at(0).name, "IteratorNumberGenerator");
  EXPECT_EQ(config.post_processors.at(0).name, "ModelDecryptor");
  EXPECT_EQ(config.req_processors.size(), 3u);
  EXPECT_EQ(config.model_reader_writer->name, "PTModelReaderWriter");
  EXPECT_EQ(config.model_validator->name, "TFModelValidator");
  EXPECT_EQ(config.client_state_processors.size(), 1u);
  EXPECT_EQ(config.retry_timeout.count(), 45);
  EXPECT_THAT(config.ignored, UnorderedElementsAre(HasSubstr("servers[0].service.options has no effect"),
                                                   HasSubstr("client.compression has no effect")));
}

TEST(ClientConfigTest, OurKeysAreRead) {
  const ClientConfig config = ParseClientConfig(R"({"servers": [{"name": "x"}], "client": {
      "trainer": {"name": "LinearFitter", "args": {"lr": 0.1}}, "trainer_stall_timeout": 60, "steps_aggregation": 7}})",
                                                "c.json")
                                  .value();
  EXPECT_EQ(config.trainer->name, "LinearFitter");
  EXPECT_EQ(config.trainer_stall_timeout.count(), 60);
  EXPECT_EQ(config.steps_aggregation, 7);
}

TEST(ClientConfigTest, NoPrivacyIsWrittenInThreeWays) {
  for (const std::string privacy : {R"({})", R"({"name": "SVTProtocol", "disabled": true})"}) {
    const auto config =
        ParseClientConfig(R"({"servers": [{"name": "x"}], "client": {"privacy": )" + privacy + "}}", "c.json");
    EXPECT_THAT(config.value().privacy, IsEmpty()) << privacy;
  }
}

TEST(ClientConfigTest, EveryWayOfBeingWrongHasItsLine) {
  EXPECT_EQ(ErrorOf("{\"servers\": [{\"name\": \"x\"}],\n\"client\": {\"local_epoch\": 2}}"),
            "config_fed_client.json:2:12: unknown key 'local_epoch'; did you mean 'local_epochs'?");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x"}], "client": {"local_epochs": 0}})"),
            "config_fed_client.json:1:57: client.local_epochs: must be at least 1, got 0");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x"}], "client": {"cross_site_validate": "yes"}})"),
            "config_fed_client.json:1:64: client.cross_site_validate: expected boolean, got string \"yes\"");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x"}], "local_epochs": 2})"),
            "config_fed_client.json:1:30: unknown key 'local_epochs'; it belongs into 'client'");
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("the key 'name' is missing"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{}]})"), HasSubstr(":1:14: servers[0]: the key 'name' is missing"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x"}], "client": {"exclude_vars": "["}})"),
              HasSubstr("is no regular expression"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x"}], "client": {"privacy": {"args": {}}}})"),
              HasSubstr("a component needs a \"name\""));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x"}], "client": {"retry_timeout": 0}})"),
              HasSubstr("must be more than 0"));
}

TEST(ClientConfigTest, TheSiteKeepsTheLastWordOnPrivacy) {
  const ConfigSources sources{
      .run = {R"({"servers": [{"name": "liver", "service": {"target": "run:1"}}], "client": {"local_epochs": 3,
                 "privacy": {"name": "PercentileProtocol"}, "exclude_vars": "^a", "retry_timeout": 5}})",
              "run.json"},
      .kit = ConfigText{R"({"servers": [{"name": "liver", "service": {"target": "kit:2"}}],
                 "client": {"privacy": {"name": "SVTProtocol"}, "exclude_vars": "^b", "ssl_cert": "client.crt",
                            "retry_timeout": 90}})",
                        "startup/fed_client.json"},
      .overrides = {},
      .variables = {}};
  const ClientConfig config = ParseClientConfig(sources).value();
  EXPECT_EQ(config.target, "kit:2");
  EXPECT_EQ(config.tls.cert, "startup/client.crt");
  EXPECT_EQ(config.local_epochs, 3);
  EXPECT_EQ(config.retry_timeout.count(), 90);
  ASSERT_EQ(config.privacy.size(), 2u);
  EXPECT_EQ(config.privacy[0].name, "PercentileProtocol");
  EXPECT_EQ(config.privacy[1].name, "SVTProtocol");
  EXPECT_THAT(config.exclude_vars, ElementsAre("^a", "^b"));
  EXPECT_THAT(config.ignored, UnorderedElementsAre(HasSubstr("servers[0].service.target is ignored"),
                                                   HasSubstr("client.retry_timeout is ignored")));
}

TEST(ClientConfigTest, AnOverrideCannotTakeTheSitesPrivacyAway) {
  const ConfigSources sources{
      .run = {R"({"servers": [{"name": "x"}]})", "run.json"},
      .kit = ConfigText{R"({"client": {"privacy": {"name": "SVTProtocol"}, "exclude_vars": "^b"}})", "kit.json"},
      .overrides = {"client.privacy={}", "client.exclude_vars=nothing"},
      .variables = {}};
  const ClientConfig config = ParseClientConfig(sources).value();
  ASSERT_EQ(config.privacy.size(), 1u);
  EXPECT_THAT(config.exclude_vars, ElementsAre("nothing", "^b"));
}

TEST(ClientConfigTest, ARunsFileWithoutServersTakesTheKits) {
  const ConfigSources sources{.run = {R"({"client": {"local_epochs": 2}})", "run.json"},
                              .kit = ConfigText{R"({"servers": [{"name": "x", "service": {"target": "k:1"}}]})", "kit"},
                              .overrides = {},
                              .variables = {}};
  const ClientConfig config = ParseClientConfig(sources).value();
  EXPECT_EQ(config.task_name, "x");
  EXPECT_EQ(config.target, "k:1");
}

}  // namespace
}  // namespace fed_learn
