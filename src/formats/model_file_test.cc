#include "formats/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/some_model.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

class ModelFileTest : public TempFolderTest {};

TEST_F(ModelFileTest, EveryFormatIsReadByItsContentWhateverItsName) {
  const ModelData model = EveryKindOfTensor(false);
  for (const char* name : {"m.flmodel", "m.safetensors", "m.NPZ"}) {
    ASSERT_TRUE(WriteModelFile(disk, name, model).has_value()) << name;
    ASSERT_TRUE(disk.Rename(name, "some.file").has_value());
    const auto read = ReadModelFile(disk, "some.file");
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(*read, model) << name;
    EXPECT_EQ(ParseModelFile(ReadWholeFile(disk, "some.file", 1 << 20).value(), "some.file").value(), model);
  }
}

TEST_F(ModelFileTest, AnArrayIsAModelOfOneTensor) {
  ModelData model;
  ASSERT_TRUE(model.Add("weights", RandomTensor(DType::kF32, {4, 4}, 1)).has_value());
  ASSERT_TRUE(WriteModelFile(disk, "weights.npy", model).has_value());
  EXPECT_EQ(ReadModelFile(disk, "weights.npy").value(), model);
  EXPECT_THAT(WriteModelFile(disk, "m.npy", ModelData()).error().message(), HasSubstr("holds one array"));
}

TEST_F(ModelFileTest, AnUnknownExtensionIsRefused) {
  for (const char* name : {"m.pt", "m", ".npz", "folder.npz/m"}) {
    EXPECT_THAT(WriteModelFile(disk, name, ModelData()).error().message(), HasSubstr("no model format")) << name;
  }
}

TEST_F(ModelFileTest, UnknownContentIsRefused) {
  for (const char* bytes : {"", "x", "FLMODEL0", "not a model at all"}) {
    PutBytes("m.bin", bytes);
    const auto model = ReadModelFile(disk, "m.bin");
    ASSERT_FALSE(model.has_value()) << bytes;
    EXPECT_THAT(model.error().message(), HasSubstr("m.bin: not a model that can be read")) << bytes;
  }
  EXPECT_EQ(ReadModelFile(disk, "none").error().kind(), ErrorKind::kNotFound);
}

TEST_F(ModelFileTest, ABadPackageIsRefusedWithItsPath) {
  PutBytes("m.flmodel", "FLMODEL1");
  EXPECT_THAT(ReadModelFile(disk, "m.flmodel").error().message(), HasSubstr("m.flmodel: "));
}

}  // namespace
}  // namespace fed_learn
