// The worked example of docs/model_format.md is what the code writes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "formats/package.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

// As `hexdump -C` prints it.
std::string HexDump(const std::string& bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    const std::string line = bytes.substr(at, 16);
    std::string hex, shown;
    for (std::size_t i = 0; i < 16; ++i) {
      if (i % 8 == 0) hex += ' ';
      hex += i < line.size() ? fmt::format("{:02x} ", static_cast<unsigned char>(line[i])) : "   ";
    }
    for (const char c : line) shown += std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '.';
    text += fmt::format("{:08x} {} |{}|\n", at, hex, shown);
  }
  return text + fmt::format("{:08x}\n", bytes.size());
}

std::string ReadDocument() {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "docs" / "model_format.md");
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

class ModelFormatDocTest : public TempFolderTest {};

TEST_F(ModelFormatDocTest, TheWorkedExampleIsWhatIsWritten) {
  ModelData model;
  const std::array<float, 2> weights = {1.0f, -2.0f};
  const std::int64_t steps = 300;
  ASSERT_TRUE(model.Add("w", Tensor::Of<float>({2}, weights)).has_value());
  ASSERT_TRUE(model.Add("b", Tensor::Zeros(DType::kF32, {3})).has_value());
  ASSERT_TRUE(model.Add("steps", Tensor::Of<std::int64_t>({}, std::span(&steps, 1))).has_value());
  const auto encoded = EncodeModel(model);
  ASSERT_TRUE(WritePackage(disk, "example.flmodel", *encoded).has_value());
  const std::string example = HexDump(Bytes("example.flmodel"));
  const std::string document = ReadDocument();
  EXPECT_NE(document.find(example), std::string::npos) << "docs/model_format.md should contain\n" << example;
  EXPECT_NE(document.find(encoded->id), std::string::npos) << "docs/model_format.md should name the id " << encoded->id;
}

}  // namespace
}  // namespace fed_learn
