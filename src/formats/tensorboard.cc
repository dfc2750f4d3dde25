#include "formats/tensorboard.h"

#include <fmt/format.h>

#include <protozero/pbf_writer.hpp>

#include "base/hash.h"
#include "base/text.h"

namespace fed_learn {
namespace {

// Field numbers of TensorFlow's event.proto and summary.proto.
constexpr protozero::pbf_tag_type kEventWallTime = 1;
constexpr protozero::pbf_tag_type kEventStep = 2;
constexpr protozero::pbf_tag_type kEventFileVersion = 3;
constexpr protozero::pbf_tag_type kEventSummary = 5;
constexpr protozero::pbf_tag_type kSummaryValue = 1;
constexpr protozero::pbf_tag_type kValueTag = 1;
constexpr protozero::pbf_tag_type kValueSimpleValue = 2;

constexpr int kFilesMax = 1000;  // of one source in one second

double Seconds(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

std::string LittleEndian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

// A CRC of data that holds its own CRC is weak, so TFRecord rotates and adds.
std::string MaskedCrc(std::string_view bytes) {
  const std::uint32_t crc = Crc32c(AsBytes(bytes));
  return LittleEndian(((crc >> 15 | crc << 17) + 0xa282ead8u) & 0xffffffffu, 4);
}

std::string FirstEvent(WallTime created) {
  std::string event;
  protozero::pbf_writer writer(event);
  writer.add_double(kEventWallTime, Seconds(created));
  writer.add_string(kEventFileVersion, "brain.Event:2");
  return event;
}

std::string ScalarEvent(std::string_view tag, std::int64_t step, WallTime at, double value) {
  std::string event;
  protozero::pbf_writer writer(event);
  writer.add_double(kEventWallTime, Seconds(at));
  writer.add_int64(kEventStep, step);
  protozero::pbf_writer summary(writer, kEventSummary);
  protozero::pbf_writer entry(summary, kSummaryValue);
  entry.add_string(kValueTag, tag.data(), tag.size());
  entry.add_float(kValueSimpleValue, static_cast<float>(value));
  entry.commit();
  summary.commit();
  return event;
}

}  // namespace

Result<EventWriter> EventWriter::Open(Disk& disk, std::string_view folder, WallTime created, std::string_view source) {
  RETURN_IF_ERROR(disk.MakeFolders(folder));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(created.time_since_epoch()).count();
  for (int n = 0; n < kFilesMax; ++n) {
    std::string path = fmt::format("{}/events.out.tfevents.{:010}.{}.{}", folder, seconds, source, n);
    auto file = disk.Open(path, {.mode = OpenMode::kCreateExclusive});
    if (!file.has_value() && file.error().kind() == ErrorKind::kAlreadyExists) continue;
    if (!file.has_value()) return file.error();
    EventWriter writer(*std::move(file), std::move(path));
    RETURN_IF_ERROR(writer.AddRecord(FirstEvent(created)));
    return writer;
  }
  return AlreadyExists(
      fmt::format("{}: {} event files of '{}' begin in this one second; remove them", folder, kFilesMax, source));
}

Status EventWriter::AddScalar(std::string_view tag, std::int64_t step, WallTime at, double value) {
  if (tag.empty() || !IsUtf8(tag)) {
    return InvalidArgument(path_ + ": a scalar's tag '" + Escaped(tag) + "' is empty or not UTF-8");
  }
  return AddRecord(ScalarEvent(tag, step, at, value));
}

Status EventWriter::AddRecord(std::string_view event) {
  const std::string length = LittleEndian(event.size(), 8);
  std::string record = length + MaskedCrc(length);
  record += event;
  record += MaskedCrc(event);
  RETURN_IF_ERROR(file_->WriteAt(offset_, AsBytes(record)));
  offset_ += record.size();
  return {};
}

}  // namespace fed_learn
