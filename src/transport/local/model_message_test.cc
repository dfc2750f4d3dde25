#include "transport/local/model_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

LocalMessage WithMemory(Json tensors, std::uint64_t size) {
  SharedMemoryWriter writer = *SharedMemoryWriter::Create(size);
  return {.header = {{"model", {{"tensors", std::move(tensors)}}}}, .memory = *std::move(writer).Finish()};
}

Json Entry(const std::string& name, std::uint64_t offset, std::uint64_t length, const std::vector<int>& shape) {
  return {{"name", name},   {"role", "parameter"}, {"dtype", "f32"},
          {"shape", shape}, {"offset", offset},    {"length", length}};
}

std::string Refusal(const LocalMessage& message) {
  const auto model = UnpackModel(message, "model", "the peer");
  return model.has_value() ? "accepted" : model.error().message();
}

TEST(ModelMessageTest, ModelComesBackAsItWas) {
  ModelData model;
  const std::vector<float> values = {1, 2, 3};
  const std::vector<std::int64_t> count = {7};
  ASSERT_TRUE(model.Add("weight", Tensor::Of<float>({3}, values)).has_value());
  ASSERT_TRUE(model.Add("empty", Tensor::Zeros(DType::kF64, {0, 5})).has_value());
  ASSERT_TRUE(model.Add("bn.num_batches_tracked", Tensor::Of<std::int64_t>({}, count)).has_value());
  ASSERT_TRUE(model.Add("flags", Tensor::Zeros(DType::kBool, {100})).has_value());
  ASSERT_TRUE(model.Add("last", Tensor::Zeros(DType::kBF16, {0})).has_value());
  LocalMessage message;
  ASSERT_TRUE(PackModel(model, "model", message).has_value());
  const auto unpacked = UnpackModel(message, "model", "the peer");
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
  EXPECT_TRUE(*unpacked == model);
}

TEST(ModelMessageTest, EmptyModelIsAModel) {
  LocalMessage message;
  ASSERT_TRUE(PackModel({}, "model", message).has_value());
  EXPECT_TRUE(UnpackModel(message, "model", "the peer")->empty());
}

TEST(ModelMessageTest, TensorsShareTheMemoryAndKeepIt) {
  ModelData model;
  ASSERT_TRUE(model.Add("a", Tensor::Zeros(DType::kF32, {100})).has_value());
  ASSERT_TRUE(model.Add("b", Tensor::Zeros(DType::kF32, {100})).has_value());
  ModelData unpacked;
  {
    LocalMessage message;
    ASSERT_TRUE(PackModel(model, "model", message).has_value());
    unpacked = *UnpackModel(message, "model", "the peer");
  }
  // One mapping for both, so that nothing was copied: b lies where the message says.
  EXPECT_EQ(unpacked[1].tensor.bytes().data() - unpacked[0].tensor.bytes().data(), 448);
  EXPECT_TRUE(unpacked == model);
}

TEST(ModelMessageTest, TensorOutsideTheMemoryIsRefused) {
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 64, 40, {10})}, 100)),
              HasSubstr("tensor 'w': bytes 64 to +40 lie outside"));
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 128, 0, {0})}, 100)), HasSubstr("lie outside"));
  EXPECT_THAT(Refusal(WithMemory({Entry("w", UINT64_MAX - 63, 40, {10})}, 100)), HasSubstr("lie outside"));
}

TEST(ModelMessageTest, OverlappingTensorsAreRefused) {
  EXPECT_THAT(Refusal(WithMemory({Entry("a", 0, 80, {20}), Entry("b", 64, 4, {1})}, 200)),
              HasSubstr("tensor 'b': offset 64 lies in or before the tensor before it"));
  EXPECT_THAT(Refusal(WithMemory({Entry("a", 64, 4, {1}), Entry("b", 0, 4, {1})}, 200)), HasSubstr("offset 0 lies in"));
}

TEST(ModelMessageTest, UnalignedOffsetIsRefused) {
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 4, 4, {1})}, 100)), HasSubstr("not a multiple of 64"));
}

TEST(ModelMessageTest, LengthThatIsNotTheShapesIsRefused) {
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 0, 8, {1})}, 100)),
              HasSubstr("tensor 'w': length is 8, but f32 [1] takes 4 bytes"));
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 0, 8, {1 << 30, 1 << 30, 1 << 30})}, 100)), HasSubstr("more elements"));
}

TEST(ModelMessageTest, WrongOrMissingKeysAreNamed) {
  for (const std::string key : {"name", "dtype", "shape", "offset", "length"}) {
    Json entry = Entry("w", 0, 4, {1});
    entry.erase(key);
    EXPECT_THAT(Refusal(WithMemory({entry}, 100)), HasSubstr(key)) << key;
    entry[key] = -1;
    EXPECT_THAT(Refusal(WithMemory({entry}, 100)), HasSubstr(key)) << key;
  }
  Json entry = Entry("w", 0, 4, {1});
  entry["shape"] = {-1};
  EXPECT_THAT(Refusal(WithMemory({entry}, 100)), HasSubstr("shape"));
}

TEST(ModelMessageTest, NameThatIsThereTwiceIsRefused) {
  EXPECT_THAT(Refusal(WithMemory({Entry("w", 0, 4, {1}), Entry("w", 64, 4, {1})}, 100)), HasSubstr("there twice"));
}

TEST(ModelMessageTest, ModelWithoutMemoryIsRefused) {
  LocalMessage message{.header = {{"model", {{"tensors", Json::array()}}}}, .memory = std::nullopt};
  EXPECT_THAT(Refusal(message), HasSubstr("without memory"));
  EXPECT_THAT(Refusal(LocalMessage{}), HasSubstr("the peer: model must be"));
}

}  // namespace
}  // namespace fed_learn
