#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/hash.h"
#include "formats/some_model.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string WithHeader(const std::string& header, const std::string& values) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return text + header + values;
}

// Two tensors, a of 8 bytes and b of 4.
const std::string kHeader =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[],"data_offsets":[8,12]}})";
const std::string kValues = "aaaabbbbcccc";

Result<ModelData> Parse(const std::string& file, const SafetensorsLimits& limits = {}) {
  return ParseSafetensors(Unowned(AsBytes(file)), "m.safetensors", limits);
}

std::string ErrorOf(const std::string& file, const SafetensorsLimits& limits = {}) {
  const auto model = Parse(file, limits);
  if (model.has_value()) return "no error";
  EXPECT_EQ(model.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_THAT(model.error().message(), StartsWith("m.safetensors: "));
  return model.error().message();
}

// The header above with a piece of it replaced, as a file.
std::string With(const std::string& from, const std::string& to) {
  std::string header = kHeader;
  const std::size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return WithHeader(header.replace(at, from.size(), to), kValues);
}

class SafetensorsTest : public TempFolderTest {
 protected:
  std::string Written(const ModelData& model) {
    const Status written = WriteSafetensors(disk, "m.safetensors", model);
    EXPECT_TRUE(written.has_value()) << written.error().message();
    return Bytes("m.safetensors");
  }
};

TEST_F(SafetensorsTest, ReadsWhatItWroteWithOrderAndRoles) {
  ModelData model = EveryKindOfTensor(true);
  ASSERT_TRUE(model.Add("blob", RandomTensor(DType::kU8, {5}, 8), Role::kOpaque).has_value());
  ASSERT_TRUE(model.Add("kept.running_mean", RandomTensor(DType::kF32, {5}, 9), Role::kParameter).has_value());
  for (const ModelData& each : {ModelData(), model}) {
    const auto read = Parse(Written(each));
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(*read, each);
  }
}

TEST_F(SafetensorsTest, TheSameModelGivesTheSameBytes) {
  EXPECT_EQ(Written(EveryKindOfTensor(true)), Written(EveryKindOfTensor(true)));
}

TEST_F(SafetensorsTest, EveryTensorIsAlignedInAMappedFile) {
  Written(EveryKindOfTensor(true));
  const FileBytes file = ReadWholeFile(disk, "m.safetensors", 1 << 20).value();
  const ModelData model = ParseSafetensors(file, "m.safetensors").value();
  for (const NamedTensor& named : model) {
    const auto* values = named.tensor.bytes().data();
    if (named.tensor.byte_size() == 0) continue;
    EXPECT_GE(values, file.bytes.data()) << named.name;
    EXPECT_LT(values, file.bytes.data() + file.bytes.size()) << named.name;
    EXPECT_EQ((values - file.bytes.data()) % static_cast<std::ptrdiff_t>(SizeOf(named.tensor.dtype())), 0)
        << named.name;
  }
}

TEST_F(SafetensorsTest, ATensorCalledMetadataCannotBeWritten) {
  ModelData model;
  ASSERT_TRUE(model.Add("__metadata__", Tensor()).has_value());
  EXPECT_THAT(WriteSafetensors(disk, "m.safetensors", model).error().message(), HasSubstr("__metadata__"));
}

TEST(SafetensorsRulesTest, ValuesAreFoundAndRolesGuessed) {
  const auto model = Parse(With("\"b\"", "\"b.num_batches_tracked\"")).value();
  EXPECT_EQ(model[0].tensor.shape(), Shape{2});
  EXPECT_EQ(model[1].role, Role::kCounter);
  EXPECT_EQ(model[1].tensor.values<char>()[0], 'c');
}

TEST(SafetensorsRulesTest, OtherMetadataIsIgnored) {
  EXPECT_TRUE(Parse(With("{\"a\"", R"({"__metadata__":{"format":"pt","x":"{"},"a")")).has_value());
  EXPECT_TRUE(Parse(WithHeader(R"({"__metadata__":{}}   )", "")).value().empty());
}

TEST(SafetensorsRulesTest, EveryTruncationIsRefused) {
  const std::string file = WithHeader(kHeader, kValues);
  ASSERT_TRUE(Parse(file).has_value());
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_NE(ErrorOf(file.substr(0, size)), "no error") << size;
}

TEST(SafetensorsRulesTest, AHeaderLengthThatIsALieIsRefused) {
  std::string file = WithHeader(kHeader, kValues);
  EXPECT_THAT(ErrorOf(file, {.header_bytes = kHeader.size() - 1}), HasSubstr("at most"));
  file[7] = '\x7f';
  EXPECT_THAT(ErrorOf(file), HasSubstr("is announced"));
  file[7] = 0;
  file[1] = 1;
  EXPECT_THAT(ErrorOf(file), HasSubstr("the file is shorter"));
}

TEST(SafetensorsRulesTest, AHeaderThatIsNotJsonIsRefused) {
  EXPECT_THAT(ErrorOf(WithHeader("", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(WithHeader("{", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(WithHeader("{}{}", "")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(WithHeader("[]", "")), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf(WithHeader("7", "")), HasSubstr("not a JSON object"));
}

TEST(SafetensorsRulesTest, EntriesOfAnotherFormAreRefused) {
  EXPECT_THAT(ErrorOf(WithHeader(R"({"a":3})", "")), HasSubstr("'a' is not an object"));
  EXPECT_THAT(ErrorOf(With("\"dtype\":\"F32\"", "\"dtype\":3")), HasSubstr("tensor 'a' has a value of the wrong type"));
  EXPECT_THAT(ErrorOf(With("\"dtype\":\"F32\",", "")), HasSubstr("tensor 'a' lacks the key 'dtype'"));
  EXPECT_THAT(ErrorOf(With("\"shape\":[2],", "")), HasSubstr("lacks the key 'shape'"));
  EXPECT_THAT(ErrorOf(With(",\"data_offsets\":[0,8]", "")), HasSubstr("lacks the key 'data_offsets'"));
  EXPECT_THAT(ErrorOf(With("[0,8]", "[0]")), HasSubstr("not two numbers"));
  EXPECT_THAT(ErrorOf(With("[0,8]", "[0,8,9]")), HasSubstr("wrong type"));
  EXPECT_THAT(ErrorOf(With("[0,8]", "[-1,8]")), HasSubstr("wrong type"));
  EXPECT_THAT(ErrorOf(With("[2]", "[2.0]")), HasSubstr("wrong type"));
  EXPECT_THAT(ErrorOf(With("[2]", "[[2]]")), HasSubstr("wrong type"));
  EXPECT_THAT(ErrorOf(With("\"shape\"", "\"form\"")), HasSubstr("unknown key 'form'"));
  EXPECT_THAT(ErrorOf(With("\"shape\":[2]", "\"shape\":[2],\"shape\":[2]")), HasSubstr("has the key 'shape' twice"));
  EXPECT_THAT(ErrorOf(WithHeader(R"({"__metadata__":{"a":1}})", "")), HasSubstr("not a string under 'a'"));
  EXPECT_THAT(ErrorOf(WithHeader(R"({"__metadata__":{},"__metadata__":{}})", "")), HasSubstr("twice"));
}

TEST(SafetensorsRulesTest, BadNamesAreRefused) {
  EXPECT_THAT(ErrorOf(With("\"b\"", "\"a\"")), HasSubstr("tensor 'a' is there twice"));
  EXPECT_THAT(ErrorOf(With("\"b\"", "\"\"")), HasSubstr("empty name"));
}

TEST(SafetensorsRulesTest, UnknownDTypesAreRefused) {
  EXPECT_THAT(ErrorOf(With("F32", "F8_E4M3")), HasSubstr("tensor 'a': dtype 'F8_E4M3'"));
}

TEST(SafetensorsRulesTest, RangesThatAreNotTheShapesAreRefused) {
  EXPECT_THAT(ErrorOf(With("[2]", "[3]")), HasSubstr("tensor 'a': data_offsets [0, 8] are not the 12 bytes"));
  EXPECT_THAT(ErrorOf(With("[0,8]", "[8,0]")), HasSubstr("tensor 'a': data_offsets [8, 0]"));
  EXPECT_THAT(ErrorOf(With("[2]", "[4294967296,4294967296]")), HasSubstr("more elements"));
}

TEST(SafetensorsRulesTest, GapsAndOverlapsAreRefused) {
  EXPECT_THAT(ErrorOf(With("[8,12]", "[9,13]")),
              HasSubstr("tensor 'b' begins at 9, but the values before it end at 8: a gap"));
  EXPECT_THAT(ErrorOf(With("[8,12]", "[4,8]")), HasSubstr("an overlap"));
  EXPECT_THAT(ErrorOf(WithHeader(kHeader, kValues + "x")), HasSubstr("longer than its header says"));
  EXPECT_THAT(ErrorOf(WithHeader(kHeader, kValues.substr(1))), HasSubstr("cut short"));
}

TEST(SafetensorsRulesTest, WrongRolesAreRefused) {
  const auto with_roles = [](const std::string& roles) {
    return With("{\"a\"", R"({"__metadata__":{"fed_learn.roles":")" + roles + R"("},"a")");
  };
  EXPECT_EQ(Parse(with_roles(R"({\"buffer\":[\"b\"]})")).value()[1].role, Role::kBuffer);
  EXPECT_EQ(Parse(with_roles("{}")).value()[1].role, Role::kParameter);
  EXPECT_THAT(ErrorOf(with_roles(R"({\"weight\":[\"b\"]})")), HasSubstr("role 'weight'"));
  EXPECT_THAT(ErrorOf(with_roles(R"({\"buffer\":[\"c\"]})")), HasSubstr("'c', which is no tensor"));
  EXPECT_THAT(ErrorOf(with_roles(R"({\"buffer\":\"b\"})")), HasSubstr("is not {role"));
  EXPECT_THAT(ErrorOf(with_roles(R"({\"buffer\":[3]})")), HasSubstr("is not {role"));
  EXPECT_THAT(ErrorOf(with_roles("[]")), HasSubstr("is not {role"));
  EXPECT_THAT(ErrorOf(with_roles("{")), HasSubstr("fed_learn.roles"));
}

}  // namespace
}  // namespace fed_learn
