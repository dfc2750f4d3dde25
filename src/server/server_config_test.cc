#include "server/server_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/random.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::string_view kLeast = R"({"servers": [{"name": "liver", "num_rounds": 3}]})";

// Clara's file, with every key of hers.
constexpr std::string_view kClara = R"({
  "servers": [{"name": "liver", "service": {"target": "fl.example.org:8002",
      "options": [["grpc.max_send_message_length", 500000000], ["grpc.max_receive_message_length", 500000000]]},
    "ssl_private_key": "server.key", "ssl_cert": "server.crt", "ssl_root_cert": "/pki/rootCA.pem",
    "min_num_clients": 3, "max_num_clients": 8, "wait_after_min_clients": 20.5, "heart_beat_timeout": 300,
    "start_round": 2, "num_rounds": 40, "num_server_workers": 8, "compression": "Deflate", "exclude_vars": "dummy",
    "validate_on_server": true, "num_rounds_per_valid": 5,
    "admin_host": "localhost", "admin_port": 8003, "admin_storage": "transfer"}],
  "aggregator": {"name": "ModelAggregator", "args": {"exclude_vars": "^head/", "aggregation_weights": {"siteA": 2.0}}},
  "pre_processors": [{"name": "ModelEncryptor"}, {"name": "DataCompressor", "args": {}}],
  "post_processors": [{"path": "my_filters.UnpackFirst", "args": {"level": 3}}],
  "model_saver": {"name": "PTModelSaver", "args": {"exclude_vars": "^head/"}},
  "admin_cmd_modules": [{"name": "TrainingCommandModule"}, {"name": "ValidationCommandModule"}],
  "result_processors": [{"name": "ValidateResultProcessor"}],
  "handlers": []
})";

std::string ErrorOf(const Result<ServerConfig>& config) { return config.has_value() ? "" : config.error().message(); }
std::string ErrorOf(std::string_view text) { return ErrorOf(ParseServerConfig(text, "config_fed_server.json")); }

TEST(ServerConfigTest, TheLeastConfigurationTakesTheDefaultsOfTheSchema) {
  const ServerConfig config = ParseServerConfig(kLeast, "c.json").value();
  const Json& schema = ServerConfigSchema().json();
  const Json& server = schema.at("definitions").at("server").at("properties");
  const auto fallback = [&](const char* key) { return server.at(key).at("default"); };
  EXPECT_EQ(config.task_name, "liver");
  EXPECT_EQ(config.num_rounds, 3);
  EXPECT_EQ(config.target, server.at("service").at("properties").at("target").at("default"));
  EXPECT_EQ(config.min_num_clients, fallback("min_num_clients"));
  EXPECT_EQ(config.max_num_clients, fallback("max_num_clients"));
  EXPECT_EQ(config.wait_after_min_clients.count(), fallback("wait_after_min_clients"));
  EXPECT_EQ(config.heart_beat_timeout.count(), fallback("heart_beat_timeout"));
  EXPECT_FALSE(config.round_timeout.has_value());
  EXPECT_FALSE(server.at("round_timeout").contains("default"));
  EXPECT_EQ(config.start_round, fallback("start_round"));
  EXPECT_EQ(config.validate_on_server, fallback("validate_on_server"));
  EXPECT_EQ(config.num_rounds_per_valid, fallback("num_rounds_per_valid"));
  EXPECT_EQ(config.seed, schema.at("properties").at("seed").at("default"));
  EXPECT_EQ(config.aggregator.name, "ModelAggregator");
  EXPECT_FALSE(config.model.has_value());
  EXPECT_THAT(config.ignored, IsEmpty());
}

TEST(ServerConfigTest, ClarasKeysAreRead) {
  const ServerConfig config = ParseServerConfig(kClara, "mmar/config/config_fed_server.json").value();
  EXPECT_EQ(config.target, "fl.example.org:8002");
  EXPECT_EQ(config.tls.private_key, "mmar/config/server.key");
  EXPECT_EQ(config.tls.root_cert, "/pki/rootCA.pem");
  EXPECT_EQ(config.min_num_clients, 3);
  EXPECT_EQ(config.max_num_clients, 8);
  EXPECT_EQ(config.wait_after_min_clients.count(), 20.5);
  EXPECT_EQ(config.heart_beat_timeout.count(), 300);
  EXPECT_EQ(config.start_round, 2);
  EXPECT_EQ(config.num_rounds, 40);
  EXPECT_EQ(config.exclude_vars, "dummy");
  EXPECT_TRUE(config.validate_on_server);
  EXPECT_EQ(config.num_rounds_per_valid, 5);
  EXPECT_EQ(config.aggregator.args.at("aggregation_weights").at("siteA"), 2.0);
  ASSERT_EQ(config.pre_processors.size(), 2u);
  EXPECT_EQ(config.pre_processors[1].name, "DataCompressor");
  EXPECT_EQ(config.post_processors.at(0).name, "my_filters.UnpackFirst");
  EXPECT_EQ(config.model_saver->name, "PTModelSaver");
  EXPECT_EQ(config.admin_cmd_modules.size(), 2u);
  EXPECT_EQ(config.result_processors.size(), 1u);
}

TEST(ServerConfigTest, OurKeysAreRead) {
  const ServerConfig config = ParseServerConfig(R"({"seed": 9007199254740991, "model": {"name": "LinearModel"},
      "servers": [{"name": "x", "num_rounds": -1, "round_timeout": 3600}]})",
                                                "c.json")
                                  .value();
  EXPECT_EQ(config.seed, 9007199254740991u);
  EXPECT_EQ(config.model->name, "LinearModel");
  EXPECT_EQ(config.num_rounds, -1);
  EXPECT_EQ(config.round_timeout->count(), 3600);
}

TEST(ServerConfigTest, WhatHasNoEffectIsListedOnce) {
  const ServerConfig config = ParseServerConfig(kClara, "c.json").value();
  EXPECT_THAT(
      config.ignored,
      UnorderedElementsAre(AllOf(HasSubstr("c.json:3:7: servers[0].service.options has no effect"), HasSubstr("gRPC")),
                           HasSubstr("servers[0].num_server_workers"), HasSubstr("servers[0].compression"),
                           HasSubstr("servers[0].admin_host"), HasSubstr("servers[0].admin_port"),
                           HasSubstr("servers[0].admin_storage")));
}

TEST(ServerConfigTest, OnlyTheFirstServerIsUsed) {
  const auto config = ParseServerConfig(R"({"servers": [{"name": "a", "num_rounds": 1}, {"name": "b"}]})", "c.json");
  EXPECT_EQ(config.value().task_name, "a");
  EXPECT_THAT(config.value().ignored, ElementsAre(HasSubstr("only the first server")));
}

TEST(ServerConfigTest, EveryWayOfBeingWrongHasItsLine) {
  EXPECT_EQ(ErrorOf("{\"servers\": [{\"name\": \"x\", \"num_rounds\": 1,\n  \"min_num_client\": 2}]}"),
            "config_fed_server.json:2:3: unknown key 'min_num_client'; did you mean 'min_num_clients'?");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": "5"}]})"),
            "config_fed_server.json:1:42: servers[0].num_rounds: expected integer, got string \"5\"");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "min_num_clients": 0}]})"),
            "config_fed_server.json:1:64: servers[0].min_num_clients: must be at least 1, got 0");
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x"}]})"),
              HasSubstr(":1:14: servers[0]: the key 'num_rounds' is missing"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"num_rounds": 1}]})"), HasSubstr("the key 'name' is missing"));
  EXPECT_THAT(ErrorOf(R"({"servers": []})"), HasSubstr("at least 1 entries"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("the key 'servers' is missing"));
  EXPECT_THAT(ErrorOf(R"({"num_rounds": 3, "servers": [{"name": "x"}]})"), HasSubstr("it belongs into 'servers[]'"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1}], "aggregator": {"nam": "X"}})"),
              HasSubstr("unknown key 'nam'; did you mean 'name'?"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "exclude_vars": "("}]})"),
              HasSubstr("is no regular expression"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "heart_beat_timeout": 0}]})"),
              HasSubstr("must be more than 0"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "round_timeout": 1e300}]})"),
              HasSubstr("must be at most 31536000"));
}

TEST(ServerConfigTest, ValuesThatAreImpossibleTogetherAreRefusedWithTheirPlace) {
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "min_num_clients": 5, "max_num_clients": 4}]})"),
            "config_fed_server.json:1:86: servers[0].max_num_clients: no round could ever close: max_num_clients is 4, "
            "min_num_clients 5");
  EXPECT_THAT(
      ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 1, "min_num_clients": 500}]})"),
      HasSubstr(":1:64: servers[0].min_num_clients: no round could ever close: max_num_clients is 100 by default"));
  EXPECT_THAT(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 2, "start_round": 3}]})"),
              HasSubstr("servers[0].num_rounds: is 2, a round number before start_round, which is 3"));
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": -1, "start_round": 3}]})"), "");
  EXPECT_EQ(ErrorOf(R"({"servers": [{"name": "x", "num_rounds": 3, "start_round": 3}]})"), "");
}

TEST(ServerConfigTest, OverridesAndVariablesComeBeforeTheCheck) {
  ConfigSources sources{
      .run = {R"({"LR": 0.5, "servers": [{"name": "x", "num_rounds": "{ROUNDS}"}],
                                    "aggregator": {"name": "A", "args": {"lr": "{LR}", "dir": "{DIR}/m"}}})",
              "c.json"},
      .kit = {},
      .overrides = {"servers.0.min_num_clients=4", "aggregator.args.optimizer.args.lr=0.1", "LR=0.25"},
      .variables = {{"ROUNDS", 7}, {"DIR", "/models"}}};
  const ServerConfig config = ParseServerConfig(sources).value();
  EXPECT_EQ(config.num_rounds, 7);
  EXPECT_EQ(config.min_num_clients, 4);
  EXPECT_EQ(config.aggregator.args,
            Json::parse(R"({"lr": 0.25, "dir": "/models/m", "optimizer": {"args": {"lr": 0.1}}})"));

  sources.overrides = {"servers.0.min_num_clients=none"};
  EXPECT_EQ(ErrorOf(ParseServerConfig(sources)),
            "--set servers.0.min_num_clients=none: servers[0].min_num_clients: expected integer, got string \"none\"");
  sources.overrides = {"agregator.name=X"};
  EXPECT_EQ(ErrorOf(ParseServerConfig(sources)),
            "--set agregator.name=X: unknown key 'agregator'; did you mean 'aggregator'?");
}

TEST(ServerConfigTest, TheKitDecidesOverNetworkAndTuningTheRunOverTraining) {
  const ConfigSources sources{
      .run = {R"({"servers": [{"service": {"target": "run:1"}, "ssl_cert": "run.crt", "num_rounds": 9,
                "heart_beat_timeout": 60, "wait_after_min_clients": 3}]})",
              "run.json"},
      .kit = ConfigText{R"({"servers": [{"name": "liver", "service": {"target": "kit:2"}, "ssl_private_key": "k.key",
                "min_num_clients": 4, "max_num_clients": 12, "num_rounds": 1, "heart_beat_timeout": 900}],
                "model_saver": {"name": "X"}})",
                        "startup/fed_server.json"},
      .overrides = {},
      .variables = {}};
  const ServerConfig config = ParseServerConfig(sources).value();
  EXPECT_EQ(config.task_name, "liver");
  EXPECT_EQ(config.target, "kit:2");
  EXPECT_EQ(config.tls.private_key, "startup/k.key");
  EXPECT_EQ(config.tls.cert, "");
  EXPECT_EQ(config.num_rounds, 9);
  EXPECT_EQ(config.min_num_clients, 4);
  EXPECT_EQ(config.max_num_clients, 12);
  EXPECT_EQ(config.heart_beat_timeout.count(), 900);
  EXPECT_EQ(config.wait_after_min_clients.count(), 3);
  EXPECT_FALSE(config.model_saver.has_value());
  EXPECT_THAT(config.ignored,
              UnorderedElementsAre(HasSubstr("run.json:1:27: servers[0].service.target is ignored"),
                                   HasSubstr("run.json:1:47: servers[0].ssl_cert is ignored"),
                                   HasSubstr("run.json:2:17: servers[0].heart_beat_timeout is ignored"),
                                   HasSubstr("startup/fed_server.json:2:62: servers[0].num_rounds is ignored"),
                                   HasSubstr("startup/fed_server.json:3:17: model_saver is ignored")));
}

TEST(ServerConfigTest, TwoNamesForOneTaskAreRefused) {
  const ConfigSources sources{.run = {R"({"servers": [{"name": "liver", "num_rounds": 1}]})", "run.json"},
                              .kit = ConfigText{R"({"servers": [{"name": "brain"}]})", "kit.json"},
                              .overrides = {},
                              .variables = {}};
  EXPECT_EQ(ErrorOf(ParseServerConfig(sources)),
            "run.json:1:23: servers[0].name: is \"liver\", but the startup kit (kit.json:1:23) says \"brain\"");
}

TEST(ServerConfigTest, AnImpossibleMixtureIsBlamedOnTheFileThatHasIt) {
  const ConfigSources sources{
      .run = {R"({"servers": [{"name": "x", "num_rounds": 1, "min_num_clients": 20}]})", "run.json"},
      .kit = ConfigText{R"({"servers": [{"max_num_clients": 12}]})", "kit.json"},
      .overrides = {},
      .variables = {}};
  EXPECT_THAT(ErrorOf(ParseServerConfig(sources)), HasSubstr("kit.json:1:34: servers[0].max_num_clients: no round"));
}

TEST(ServerConfigTest, TheDigestIsThatOfWhatDecidesTheModel) {
  const auto digest = [](std::string_view text) { return ParseServerConfig(text, "c.json").value().sha256; };
  EXPECT_EQ(digest(kLeast).size(), 64u);
  EXPECT_EQ(
      digest(kLeast),
      digest(R"({"servers":[{"num_rounds":3,"name":"liver","ssl_cert":"a","compression":"Gzip","heart_beat_timeout":9,
                                        "service":{"target":"a:1"}}]})"));
  EXPECT_NE(digest(kLeast), digest(R"({"servers": [{"name": "liver", "num_rounds": 4}]})"));
  EXPECT_NE(digest(kLeast), digest(R"({"servers": [{"name": "liver", "num_rounds": 3}], "seed": 1})"));
}

// Whatever stands in a file, the answer is a configuration or one line with a place.
TEST(ServerConfigTest, AnyTextGetsAnAnswer) {
  Random random(11);
  for (int i = 0; i < 2000; ++i) {
    std::string text(kClara);
    const auto& letters = R"({}[]",:09.-aenulsr_ )";
    for (std::uint64_t changes = 1 + random.Below(3); changes > 0; --changes) {
      text[random.Below(text.size())] = letters[random.Below(sizeof(letters) - 1)];
    }
    const auto config = ParseServerConfig(text, "c.json");
    if (config.has_value()) continue;
    EXPECT_TRUE(config.error().message().starts_with("c.json:")) << config.error().message();
    EXPECT_EQ(config.error().message().find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace fed_learn
