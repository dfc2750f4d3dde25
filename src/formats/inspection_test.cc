#include "formats/inspection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "formats/package.h"
#include "formats/some_model.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <typename T>
Tensor View(DType dtype, const std::vector<T>& values) {
  auto owner = std::make_shared<std::vector<T>>(values);
  const auto bytes = std::as_bytes(std::span<const T>(*owner));
  return Tensor::View(dtype, {static_cast<std::int64_t>(values.size())}, owner, bytes);
}

TEST(SummarizeValuesTest, NormAndExtremesOfFloats) {
  const ValueSummary summary = SummarizeValues(View<float>(DType::kF32, {3, -4, 0}));
  EXPECT_EQ(summary.l2_norm, 5);
  EXPECT_EQ(summary.min, -4);
  EXPECT_EQ(summary.max, 3);
  EXPECT_EQ(summary.finite, 3u);
}

TEST(SummarizeValuesTest, HalvesAreConverted) {
  // 1, -2, the smallest subnormal, the largest, infinity, NaN.
  const auto f16 = SummarizeValues(View<std::uint16_t>(DType::kF16, {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x7e00}));
  EXPECT_EQ(f16.min, -2);
  EXPECT_EQ(f16.max, 65504);
  EXPECT_EQ(f16.not_finite, 2u);
  EXPECT_EQ(SummarizeValues(View<std::uint16_t>(DType::kF16, {0x0001})).max, std::ldexp(1.0, -24));
  const auto bf16 = SummarizeValues(View<std::uint16_t>(DType::kBF16, {0x3f80, 0xc000, 0x7f80}));
  EXPECT_EQ(bf16.min, -2);
  EXPECT_EQ(bf16.max, 1);
  EXPECT_EQ(bf16.not_finite, 1u);
}

TEST(SummarizeValuesTest, IntegersKeepTheirSign) {
  EXPECT_EQ(SummarizeValues(View<std::int8_t>(DType::kI8, {-128, 127})).min, -128);
  EXPECT_EQ(SummarizeValues(View<std::uint8_t>(DType::kU8, {255, 0})).max, 255);
  EXPECT_EQ(SummarizeValues(View<std::int64_t>(DType::kI64, {-5})).l2_norm, 5);
  EXPECT_EQ(SummarizeValues(View<std::uint64_t>(DType::kU64, {1ull << 63})).max, std::ldexp(1.0, 63));
  EXPECT_EQ(SummarizeValues(View<std::uint8_t>(DType::kBool, {1, 0, 1})).l2_norm, std::sqrt(2.0));
}

TEST(SummarizeValuesTest, NothingHasNoExtremes) {
  EXPECT_EQ(SummarizeValues(Tensor::Zeros(DType::kF64, {0})).finite, 0u);
  EXPECT_EQ(SummarizeValues(View<float>(DType::kF32, {NAN})).finite, 0u);
}

class InspectionTest : public TempFolderTest {};

TEST_F(InspectionTest, EveryFormatIsInspected) {
  const ModelData model = EveryKindOfTensor(false);
  for (const char* name : {"m.flmodel", "m.safetensors", "m.npz"}) {
    ASSERT_TRUE(WriteModelFile(disk, name, model).has_value());
    const auto inspection = InspectModelFile(disk, name);
    ASSERT_TRUE(inspection.has_value()) << inspection.error().message();
    EXPECT_EQ(inspection->tensors.size(), model.size());
    EXPECT_EQ(inspection->bytes(), model.byte_size());
    EXPECT_EQ(inspection->elements(), inspection->parameters() + 7 + 1);
    EXPECT_EQ(inspection->model_id, EncodeModel(model)->id);
    Sha256 sha256;
    sha256.Update(Bytes(name));
    EXPECT_EQ(inspection->file_sha256, sha256.Finish());
    EXPECT_EQ(inspection->file_bytes, Bytes(name).size());
  }
}

TEST_F(InspectionTest, TextAndJsonSayTheSame) {
  ModelData model;
  ASSERT_TRUE(model.Add("evil\n\x1b[31m", View<float>(DType::kF32, {3, -4})).has_value());
  ASSERT_TRUE(model.Add("none", Tensor::Zeros(DType::kF32, {0})).has_value());
  ASSERT_TRUE(model.Add("bad", View<float>(DType::kF32, {NAN, 1})).has_value());
  ASSERT_TRUE(WriteModelFile(disk, "m.flmodel", model).has_value());
  const ModelInspection inspection = InspectModelFile(disk, "m.flmodel").value();
  const std::string text = FormatInspection(inspection);
  EXPECT_THAT(text, HasSubstr("m.flmodel: package of "));
  EXPECT_THAT(text, HasSubstr("3 tensors, 4 parameters, 16 B of values"));
  EXPECT_THAT(text, HasSubstr("evil\\n\\x1b[31m  parameter  f32    [2]          5   -4    3  "));
  EXPECT_THAT(text, HasSubstr("tensor 'bad': 1 of 2 values are NaN or infinite"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  const auto json = InspectionToJson(inspection);
  EXPECT_EQ(json["parameters"], 4);
  EXPECT_EQ(json["tensors"][0]["l2_norm"], 5.0);
  EXPECT_EQ(json["tensors"][0]["shape"], nlohmann::json({2}));
  EXPECT_TRUE(json["tensors"][1]["min"].is_null());
  EXPECT_EQ(json["tensors"][2]["not_finite"], 1);
}

TEST_F(InspectionTest, AModelWithoutTensorsHasNoTable) {
  ASSERT_TRUE(WriteModelFile(disk, "m.flmodel", {}).has_value());
  EXPECT_THAT(FormatInspection(InspectModelFile(disk, "m.flmodel").value()), Not(HasSubstr("dtype")));
}

TEST_F(InspectionTest, WhatIsNoModelIsRefused) {
  PutBytes("empty", "");
  EXPECT_EQ(InspectModelFile(disk, "empty").error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(InspectModelFile(disk, "absent").error().kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace fed_learn
