#include "formats/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <protozero/pbf_reader.hpp>

#include "base/hash.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr WallTime kNoon{std::chrono::seconds(1'700'000'000)};

std::uint32_t Masked(std::string_view bytes) {
  const std::uint32_t crc = Crc32c(AsBytes(bytes));
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// The events of a file, each checked against its two checksums.
std::vector<std::string> Records(const std::string& file) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    std::uint64_t length = 0;
    std::uint32_t length_crc = 0, crc = 0;
    std::memcpy(&length, file.data() + at, 8);
    std::memcpy(&length_crc, file.data() + at + 8, 4);
    EXPECT_EQ(length_crc, Masked(std::string_view(file).substr(at, 8)));
    records.push_back(file.substr(at + 12, length));
    std::memcpy(&crc, file.data() + at + 12 + length, 4);
    EXPECT_EQ(crc, Masked(records.back()));
    at += 16 + length;
  }
  return records;
}

struct Scalar {
  std::string tag;
  std::int64_t step = 0;
  double wall_time_s = 0;
  float value = 0;
  bool operator==(const Scalar&) const = default;
};

Scalar ReadScalar(const std::string& event) {
  Scalar scalar;
  for (protozero::pbf_reader reader(event); reader.next();) {
    if (reader.tag() == 1) {
      scalar.wall_time_s = reader.get_double();
    } else if (reader.tag() == 2) {
      scalar.step = reader.get_int64();
    } else if (reader.tag() == 5) {
      protozero::pbf_reader summary = reader.get_message();
      EXPECT_TRUE(summary.next(1));
      for (protozero::pbf_reader value = summary.get_message(); value.next();) {
        if (value.tag() == 1) {
          scalar.tag = value.get_string();
        } else if (value.tag() == 2) {
          scalar.value = value.get_float();
        } else {
          value.skip();
        }
      }
    } else {
      reader.skip();
    }
  }
  return scalar;
}

class TensorboardTest : public TempFolderTest {};

TEST_F(TensorboardTest, ScalarsComeBackFromTheirRecords) {
  auto writer = EventWriter::Open(disk, "logs/run_1", kNoon, "server").value();
  EXPECT_EQ(writer.path(), "logs/run_1/events.out.tfevents.1700000000.server.0");
  ASSERT_TRUE(writer.AddScalar("loss", 0, kNoon, 0.5).has_value());
  ASSERT_TRUE(writer.AddScalar("site_1/größe", -1, kNoon + std::chrono::milliseconds(1500), -2).has_value());
  ASSERT_TRUE(writer.Sync().has_value());
  const auto records = Records(Bytes(writer.path()));
  ASSERT_THAT(records, SizeIs(3));
  protozero::pbf_reader first(records[0]);
  ASSERT_TRUE(first.next(3));
  EXPECT_EQ(first.get_string(), "brain.Event:2");
  EXPECT_EQ(ReadScalar(records[1]), (Scalar{"loss", 0, 1700000000, 0.5}));
  EXPECT_EQ(ReadScalar(records[2]), (Scalar{"site_1/größe", -1, 1700000001.5, -2}));
}

TEST_F(TensorboardTest, ARestartBeginsAnotherFile) {
  const std::string first = EventWriter::Open(disk, ".", kNoon, "server").value().path();
  const std::string before = Bytes(first);
  EXPECT_EQ(EventWriter::Open(disk, ".", kNoon, "server").value().path(), "./events.out.tfevents.1700000000.server.1");
  EXPECT_EQ(Bytes(first), before);
  EXPECT_THAT(disk.List(".").value(), SizeIs(2));
}

TEST_F(TensorboardTest, ATagThatIsEmptyOrNoUtf8IsRefused) {
  auto writer = EventWriter::Open(disk, ".", kNoon, "server").value();
  for (const char* tag : {"", "a\xff"}) {
    EXPECT_EQ(writer.AddScalar(tag, 0, kNoon, 1).error().kind(), ErrorKind::kInvalidArgument);
  }
  EXPECT_THAT(Records(Bytes(writer.path())), SizeIs(1));
}

}  // namespace
}  // namespace fed_learn
