#include "formats/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <array>

#include "base/hash.h"
#include "formats/npy.h"
#include "formats/some_model.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class NpzTest : public TempFolderTest {
 protected:
  Result<ModelData> Parse(const std::string& bytes, const NpzLimits& limits = {}) {
    return ParseNpz(Unowned(AsBytes(bytes)), "m.npz", limits);
  }

  std::string ErrorOf(const std::string& bytes, const NpzLimits& limits = {}) {
    const auto model = Parse(bytes, limits);
    if (model.has_value()) return "no error";
    EXPECT_THAT(model.error().message(), StartsWith("m.npz: "));
    return model.error().message();
  }

  std::string Written(const ModelData& model) {
    const Status written = WriteNpz(disk, "m.npz", model);
    EXPECT_TRUE(written.has_value()) << written.error().message();
    return Bytes("m.npz");
  }

  // A zip of one member, packed by libzip with `method`.
  std::string Zipped(const std::string& name, const std::string& contents, zip_int32_t method) {
    const std::string path = folder + "/made.zip";
    zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
    zip_source_t* source = zip_source_buffer(archive, contents.data(), contents.size(), 0);
    const auto index = static_cast<zip_uint64_t>(zip_file_add(archive, name.c_str(), source, 0));
    EXPECT_EQ(zip_set_file_compression(archive, index, method, 0), 0);
    EXPECT_EQ(zip_close(archive), 0);
    return Bytes("made.zip");
  }

  static std::string ArrayOf(const Tensor& tensor) {
    const auto bytes = tensor.bytes();
    return EncodeNpyHeader(tensor).value() + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

TEST_F(NpzTest, ReadsWhatItWrote) {
  for (const ModelData& model : {ModelData(), EveryKindOfTensor(false)}) {
    const auto read = Parse(Written(model));
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(*read, model);
  }
}

TEST_F(NpzTest, TheSameModelGivesTheSameBytes) {
  EXPECT_EQ(Written(EveryKindOfTensor(false)), Written(EveryKindOfTensor(false)));
}

TEST_F(NpzTest, DeflatedMembersAreRead) {
  const Tensor tensor = Tensor::Zeros(DType::kF32, {1000, 100});
  const std::string bytes = Zipped("w.npy", ArrayOf(tensor), ZIP_CM_DEFLATE);
  EXPECT_LT(bytes.size(), 2000u);
  EXPECT_EQ(Parse(bytes).value()[0].tensor, tensor);
}

TEST_F(NpzTest, WhatIsNoZipIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("zip"));
  EXPECT_THAT(ErrorOf("PK\x03\x04 and so on, and so on, and so on"), HasSubstr("not a sound zip"));
}

TEST_F(NpzTest, TruncationsAreRefused) {
  const std::string bytes = Written(EveryKindOfTensor(false));
  for (std::size_t size = 0; size < bytes.size(); size += 37) {
    EXPECT_NE(ErrorOf(bytes.substr(0, size)), "no error") << size;
  }
  EXPECT_NE(ErrorOf(bytes.substr(0, bytes.size() - 1)), "no error");
}

TEST_F(NpzTest, AMemberThatIsNoArrayIsRefused) {
  EXPECT_THAT(ErrorOf(Zipped("archive/data.pkl", "x", ZIP_CM_STORE)),
              HasSubstr("member 'archive/data.pkl' is not an array"));
  EXPECT_THAT(ErrorOf(Zipped("w.npy", "x", ZIP_CM_STORE)), HasSubstr("member 'w.npy': not a NumPy array"));
}

TEST_F(NpzTest, AMemberTwiceIsRefused) {
  const std::string w = "w.npy", v = "v.npy";
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kU8, {1})).has_value());
  ASSERT_TRUE(model.Add("v", Tensor::Zeros(DType::kU8, {1})).has_value());
  std::string bytes = Written(model);
  for (std::size_t at = 0; (at = bytes.find(v, at)) != std::string::npos;) bytes.replace(at, w.size(), w);
  EXPECT_NE(ErrorOf(bytes), "no error");
}

TEST_F(NpzTest, AWrongByteInAMemberIsRefused) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", RandomTensor(DType::kU8, {1000}, 1)).has_value());
  std::string bytes = Written(model);
  bytes[600] ^= 1;
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("member 'w.npy': its bytes are damaged"));
}

TEST_F(NpzTest, AMemberThatClaimsMoreThanItCanHoldIsRefused) {
  std::string bytes = Zipped("w.npy", ArrayOf(Tensor::Zeros(DType::kF32, {1000})), ZIP_CM_DEFLATE);
  const std::size_t central = bytes.find("PK\x01\x02");
  const std::size_t local = bytes.find("PK\x03\x04");
  ASSERT_NE(central, std::string::npos);
  for (const std::size_t size_at : {central + 24, local + 22}) bytes.replace(size_at, 4, "\x00\x00\x00\x70", 4);
  EXPECT_THAT(ErrorOf(bytes), HasSubstr("m.npz: "));
  EXPECT_NE(ErrorOf(bytes), "no error");
}

TEST_F(NpzTest, OverTheModelLimitIsRefused) {
  const std::string bytes = Written(EveryKindOfTensor(false));
  EXPECT_THAT(ErrorOf(bytes, {.model_bytes = 1000}), HasSubstr("larger than 1 kB"));
}

TEST_F(NpzTest, Bf16CannotBeWritten) {
  const Status written = WriteNpz(disk, "m.npz", EveryKindOfTensor(true));
  EXPECT_THAT(written.error().message(), HasSubstr("m.npz: tensor 'layer/bf16': NumPy has no bf16"));
  EXPECT_FALSE(disk.Exists("m.npz").value());
}

TEST_F(NpzTest, ANameWithAZeroByteCannotBeWritten) {
  ModelData model;
  ASSERT_TRUE(model.Add(std::string("a\0b", 3), Tensor()).has_value());
  EXPECT_THAT(WriteNpz(disk, "m.npz", model).error().message(), HasSubstr("zero byte"));
}

}  // namespace
}  // namespace fed_learn
