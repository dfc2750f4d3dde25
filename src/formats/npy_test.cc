#include "formats/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/hash.h"
#include "formats/some_model.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A version 1.0 file with this header text and these values.
std::string Npy(const std::string& header, const std::string& values) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return text + header + values;
}

const std::string kHeader = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n";
const std::string kValues(24, 'x');

Result<Tensor> Parse(const std::string& file) { return ParseNpy(Unowned(AsBytes(file)), "w.npy"); }

std::string ErrorOf(const std::string& file) {
  const auto tensor = Parse(file);
  if (tensor.has_value()) return "no error";
  EXPECT_EQ(tensor.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_THAT(tensor.error().message(), StartsWith("w.npy: "));
  return tensor.error().message();
}

// The header with a piece of it replaced, as a file.
std::string With(const std::string& from, const std::string& to) {
  std::string header = kHeader;
  const std::size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return Npy(header.replace(at, from.size(), to), kValues);
}

TEST(NpyTest, ReadsWhatItWrote) {
  for (const NamedTensor& named : EveryKindOfTensor(false)) {
    const auto header = EncodeNpyHeader(named.tensor);
    ASSERT_TRUE(header.has_value()) << named.name;
    EXPECT_EQ(header->size() % 64, 0u);
    const auto bytes = named.tensor.bytes();
    const auto tensor = Parse(*header + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    ASSERT_TRUE(tensor.has_value()) << tensor.error().message();
    EXPECT_EQ(*tensor, named.tensor) << named.name;
  }
}

TEST(NpyTest, WritesTheHeaderThatNumPyWrites) {
  const std::string written = EncodeNpyHeader(Tensor::Zeros(DType::kF32, {2, 3})).value();
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  EXPECT_EQ(written,
            std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(117 - header.size(), ' ') + "\n");
  EXPECT_THAT(EncodeNpyHeader(Tensor::Zeros(DType::kBool, {})).value(),
              HasSubstr("'|b1', 'fortran_order': False, 'shape': ()"));
  EXPECT_THAT(EncodeNpyHeader(Tensor::Zeros(DType::kI8, {7})).value(), HasSubstr("'shape': (7,)"));
}

TEST(NpyTest, SharesTheFilesBytesWhereTheyAreAligned) {
  const Tensor tensor = Tensor::Zeros(DType::kF32, {4});
  const std::string header = EncodeNpyHeader(tensor).value();
  auto file = std::make_shared<Tensor>(Tensor::Zeros(DType::kU8, {static_cast<std::int64_t>(header.size()) + 16}));
  std::copy(header.begin(), header.end(), file->mutable_values<char>().begin());
  const auto bytes = file->bytes();
  EXPECT_EQ(ParseNpy({file, bytes}, "w.npy").value().bytes().data(), bytes.data() + header.size());
}

TEST(NpyTest, FortranOrderBecomesCOrder) {
  const std::array<float, 6> values = {1, 4, 2, 5, 3, 6};
  std::string file = With("False", "True");
  file.replace(file.size() - 24, 24, reinterpret_cast<const char*>(values.data()), 24);
  const auto tensor = Parse(file);
  ASSERT_TRUE(tensor.has_value());
  const std::array<float, 6> expected = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(*tensor, Tensor::Of<float>({2, 3}, expected));
}

TEST(NpyTest, LongerHeaderLengthsOfVersion2And3AreRead) {
  for (const char version : {'\2', '\3'}) {
    std::string file = Npy(kHeader, kValues);
    file[6] = version;
    file.insert(10, std::string(2, '\0'));
    EXPECT_TRUE(Parse(file).has_value());
  }
}

TEST(NpyTest, AnotherMagicOrVersionIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("NUMPY"));
  EXPECT_THAT(ErrorOf("\x93NUMPZ" + std::string(100, 'x')), HasSubstr("NUMPY"));
  std::string file = Npy(kHeader, kValues);
  file[6] = 4;
  EXPECT_THAT(ErrorOf(file), HasSubstr("version 4.0"));
  file[6] = 1;
  file[7] = 1;
  EXPECT_THAT(ErrorOf(file), HasSubstr("version 1.1"));
}

TEST(NpyTest, EveryTruncationIsRefused) {
  const std::string file = Npy(kHeader, kValues);
  ASSERT_TRUE(Parse(file).has_value());
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_NE(ErrorOf(file.substr(0, size)), "no error") << size;
}

TEST(NpyTest, AHeaderLengthThatIsALieIsRefused) {
  std::string file = Npy(kHeader, kValues);
  file[9] = '\x40';
  EXPECT_THAT(ErrorOf(file), HasSubstr("is announced"));
  file[6] = '\2';
  file.insert(10, "\x7f\x7f");
  EXPECT_THAT(ErrorOf(file), HasSubstr("is announced"));
}

TEST(NpyTest, AHeaderThatIsNotTheDictionaryIsRefused) {
  for (const std::string& file :
       {With("{", "["), With("}", "} x"), With("'descr'", "descr"), With("'shape'", "'form'"),
        With(", 'shape': (2, 3)", ""), With("'shape': (2, 3)", "'shape': (2, 3), 'shape': (2, 3)"),
        With("'<f4'", "'<f4"), With("False", "0"), With("(2, 3)", "[2, 3]"), With("(2, 3)", "(2, 3.0)"),
        With("(2, 3)", "(2 3)"), With("(2, 3)", "(2, x)"), With("(2, 3)", "(2, 99999999999999999999)"),
        With("'<f4'", "['<f4'"), Npy("", kValues)}) {
    EXPECT_THAT(ErrorOf(file), HasSubstr("the header is not {'descr'")) << file;
  }
}

TEST(NpyTest, ADTypeThatIsNoneOfOursIsRefused) {
  EXPECT_THAT(ErrorOf(With("<f4", ">f4")), HasSubstr("big-endian; save array.astype('<f4')"));
  EXPECT_THAT(ErrorOf(With("<f4", "|O")), HasSubstr("dtype '|O'"));
  EXPECT_THAT(ErrorOf(With("<f4", "<c8")), HasSubstr("dtype '<c8'"));
  EXPECT_THAT(ErrorOf(With("'<f4'", "[('a', '<f4'), ('b', '<i2')]")), HasSubstr("records"));
}

TEST(NpyTest, AShapeThatDoesNotFitIsRefused) {
  EXPECT_THAT(ErrorOf(With("(2, 3)", "(-2, -3)")), HasSubstr("negative"));
  EXPECT_THAT(ErrorOf(With("(2, 3)", "(4294967296, 4294967296)")), HasSubstr("more elements"));
  EXPECT_THAT(ErrorOf(With("(2, 3)", "(2, 4)")), HasSubstr("has 32 bytes, but 24 follow"));
}

TEST(NpyTest, BytesAfterTheValuesAreRefused) {
  EXPECT_THAT(ErrorOf(Npy(kHeader, kValues + "x")), HasSubstr("has 24 bytes, but 25 follow"));
}

TEST(NpyTest, NumPyHasNoBf16) {
  EXPECT_THAT(EncodeNpyHeader(Tensor::Zeros(DType::kBF16, {1})).error().message(), HasSubstr("bf16"));
}

}  // namespace
}  // namespace fed_learn
