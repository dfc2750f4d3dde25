#include "server/server_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "aggregation/components.h"

namespace fed_learn {
namespace {

using testing::HasSubstr;

ModelData SomeModel(float value) {
  ModelData model;
  EXPECT_TRUE(model.Add("w", Tensor::Of<float>({1}, std::array{value})).has_value());
  return model;
}

class TestSource : public ModelSource {
 public:
  Result<ModelData> Build() override { return SomeModel(1); }
};

// Has a checkpoint.
class TestSaver : public ModelSaver {
 public:
  Status Initialize(ModelSource*) override { return {}; }
  Result<ModelData> LoadModel() override { return SomeModel(2); }
  Status SaveModel(const ModelData&, bool, const AppContext&) override { return {}; }
};

class ServerPlanTest : public testing::Test {
 protected:
  ServerPlanTest() {
    RegisterAggregationComponents(registry_);
    registry_.sources.Add("TestSource", [](const Json&, const ComponentServices&) {
      return Result<std::unique_ptr<ModelSource>>(std::make_unique<TestSource>());
    });
    registry_.savers.Add("TestSaver", [](const Json&, const ComponentServices&) {
      return Result<std::unique_ptr<ModelSaver>>(std::make_unique<TestSaver>());
    });
  }

  ServerPlan Plan(const std::string& more) {
    const auto config = ParseServerConfig(R"({"servers": [{"name": "liver", "num_rounds": 1}])" + more + "}", "test");
    EXPECT_TRUE(config.has_value()) << config.error().message();
    auto plan = PlanServer(*config, registry_, {});
    EXPECT_TRUE(plan.has_value()) << plan.error().message();
    return *std::move(plan);
  }

  Registry registry_;
};

TEST_F(ServerPlanTest, TheFirstModelIsTheSaversAlsoAfterItsSaverWasHandedOn) {
  ServerPlan plan = Plan(R"(, "model": {"name": "TestSource"}, "model_saver": {"name": "TestSaver"})");
  const auto handed_on = std::move(plan.saver);
  EXPECT_EQ(plan.first_model().value(), SomeModel(2));
}

TEST_F(ServerPlanTest, WithoutASaverItIsTheSources) {
  EXPECT_EQ(Plan(R"(, "model": {"name": "TestSource"})").first_model().value(), SomeModel(1));
}

TEST_F(ServerPlanTest, WithoutBothItSaysWhatToGive) {
  EXPECT_THAT(Plan("").first_model().error().message(), HasSubstr("give 'model' or a 'model_saver'"));
}

}  // namespace
}  // namespace fed_learn
