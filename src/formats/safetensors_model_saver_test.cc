#include "formats/safetensors_model_saver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/components.h"
#include "formats/model_file.h"
#include "formats/some_model.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelData Net(std::uint64_t seed) {
  ModelData model;
  EXPECT_TRUE(model.Add("body.weight", RandomTensor(DType::kF32, {3, 2}, seed)).has_value());
  EXPECT_TRUE(model.Add("head.weight", RandomTensor(DType::kF32, {2}, seed)).has_value());
  return model;
}

class NetSource : public ModelSource {
 public:
  Result<ModelData> Build() override { return Net(1); }
};

class SafetensorsModelSaverTest : public TempFolderTest {
 protected:
  Result<std::unique_ptr<ModelSaver>> Make(const Json& args) {
    Registry registry;
    RegisterFormatsComponents(registry);
    return registry.savers.Make({.name = "SafetensorsModelSaver", .args = args},
                                {.disk = &disk, .app_folder = "app", .run_folder = "run"});
  }
  std::unique_ptr<ModelSaver> Ready(const Json& args) {
    auto saver = Make(args).value();
    EXPECT_TRUE(saver->Initialize(&source).has_value());
    return saver;
  }

  NetSource source;
};

TEST_F(SafetensorsModelSaverTest, TheBuildersModelIsTheFirst) {
  EXPECT_EQ(Ready(Json::object())->LoadModel().value(), Net(1));
}

TEST_F(SafetensorsModelSaverTest, ACheckpointGoesBeforeTheBuilder) {
  ASSERT_TRUE(disk.MakeFolders("app").has_value());
  ASSERT_TRUE(WriteModelFile(disk, "app/start.npz", Net(2)).has_value());
  EXPECT_EQ(Ready({{"ckpt_preload_path", "start.npz"}})->LoadModel().value(), Net(2));
}

TEST_F(SafetensorsModelSaverTest, WithoutAnyFirstModelItSaysWhatToGive) {
  auto saver = Make(Json::object()).value();
  ASSERT_TRUE(saver->Initialize(nullptr).has_value());
  EXPECT_THAT(saver->LoadModel().error().message(), HasSubstr("ckpt_preload_path"));
}

TEST_F(SafetensorsModelSaverTest, AMissingCheckpointIsNamed) {
  const auto model = Ready({{"ckpt_preload_path", "none.npz"}})->LoadModel();
  EXPECT_THAT(model.error().message(), HasSubstr("app/none.npz"));
}

TEST_F(SafetensorsModelSaverTest, TheBestIsKeptBesideTheLatest) {
  auto saver = Ready(Json::object());
  ASSERT_TRUE(saver->SaveModel(Net(1), true, {}).has_value());
  ASSERT_TRUE(saver->SaveModel(Net(2), false, {}).has_value());
  EXPECT_THAT(disk.List("run").value(), ElementsAre("FL_global_model.safetensors", "best_FL_global_model.safetensors"));
  EXPECT_EQ(ReadModelFile(disk, "run/FL_global_model.safetensors").value(), Net(2));
  EXPECT_EQ(ReadModelFile(disk, "run/best_FL_global_model.safetensors").value(), Net(1));
}

TEST_F(SafetensorsModelSaverTest, ExcludedVariablesAreInNoModel) {
  auto saver = Ready({{"exclude_vars", "^head\\."}, {"model_log_dir", "kept"}});
  EXPECT_EQ(saver->LoadModel().value().size(), 1u);
  ASSERT_TRUE(saver->SaveModel(Net(3), false, {}).has_value());
  const ModelData saved = ReadModelFile(disk, "app/kept/FL_global_model.safetensors").value();
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_EQ(saved[0].name, "body.weight");
}

TEST_F(SafetensorsModelSaverTest, WrongArgumentsAreRefused) {
  EXPECT_THAT(Make({{"exclude_vars", "("}}).error().message(), HasSubstr("args.exclude_vars is not a regular"));
  EXPECT_THAT(Make({{"exclude_var", "x"}}).error().message(), HasSubstr("did you mean 'exclude_vars'"));
  EXPECT_THAT(Make({{"model_log_dir", 3}}).error().message(), HasSubstr("args.model_log_dir"));
  EXPECT_TRUE(Make({{"exclude_vars", nullptr}}).has_value());
}

}  // namespace
}  // namespace fed_learn
