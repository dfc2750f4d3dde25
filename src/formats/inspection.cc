#include "formats/inspection.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kHeadBytes = 16;  // what DetectModelFile looks at, and more

double FromHalf(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  double value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else {
    value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

double FromBrain(std::uint16_t brain) { return std::bit_cast<float>(std::uint32_t{brain} << 16); }

// Views may lie at any address, so each value is copied out.
template <typename T, typename Convert>
ValueSummary Summarize(std::span<const std::byte> bytes, Convert convert) {
  ValueSummary summary;
  double squares = 0;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T raw;
    std::memcpy(&raw, bytes.data() + at, sizeof(T));
    const double value = convert(raw);
    if (!std::isfinite(value)) {
      ++summary.not_finite;
      continue;
    }
    summary.min = summary.finite == 0 ? value : std::min(summary.min, value);
    summary.max = summary.finite == 0 ? value : std::max(summary.max, value);
    squares += value * value;
    ++summary.finite;
  }
  summary.l2_norm = std::sqrt(squares);
  return summary;
}

template <typename T>
ValueSummary Summarize(std::span<const std::byte> bytes) {
  return Summarize<T>(bytes, [](T value) { return static_cast<double>(value); });
}

struct FileFacts {
  ModelFileFormat format = ModelFileFormat::kPackage;
  std::uint64_t bytes = 0;
  std::array<std::uint8_t, 32> sha256{};
};

Result<FileFacts> ReadFacts(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, {}));
  FileFacts facts;
  ASSIGN_OR_RETURN(facts.bytes, file->Size());
  std::vector<std::byte> piece(kReadBytes);
  Sha256 sha256;
  for (std::uint64_t at = 0; at == 0 || at < facts.bytes;) {
    const auto space = std::span(piece).first(std::min<std::uint64_t>(piece.size(), facts.bytes - at));
    RETURN_IF_ERROR(file->ReadAt(at, space));
    if (at == 0) {
      ASSIGN_OR_RETURN(facts.format, DetectModelFile(space.first(std::min(space.size(), kHeadBytes)), path));
    }
    sha256.Update(space);
    at += space.size();
  }
  facts.sha256 = sha256.Finish();
  return facts;
}

using Row = std::array<std::string, 8>;

Row RowOf(const TensorInspection& tensor) {
  const bool any = tensor.values.finite > 0;
  std::string name = Escaped(tensor.name);
  return {std::move(name),
          std::string(ToString(tensor.role)),
          std::string(ToString(tensor.dtype)),
          ToString(tensor.shape),
          fmt::format("{:.6g}", tensor.values.l2_norm),
          any ? fmt::format("{:.6g}", tensor.values.min) : "-",
          any ? fmt::format("{:.6g}", tensor.values.max) : "-",
          ToHex(tensor.hash.bytes)};
}

// Names are UTF-8, and fmt pads by what a terminal shows, not by bytes.
std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string FormatTable(const std::vector<Row>& rows) {
  std::array<std::size_t, 8> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      const bool number = i >= 4 && i <= 6;
      const bool last = i + 1 == row.size();
      text += number ? padding + row[i] : row[i] + (last ? "" : padding);
      text += last ? "\n" : "  ";
    }
  }
  return text;
}

}  // namespace

ValueSummary SummarizeValues(const Tensor& tensor) {
  const auto bytes = tensor.bytes();
  switch (tensor.dtype()) {
    case DType::kF16:
      return Summarize<std::uint16_t>(bytes, FromHalf);
    case DType::kBF16:
      return Summarize<std::uint16_t>(bytes, FromBrain);
    case DType::kF32:
      return Summarize<float>(bytes);
    case DType::kF64:
      return Summarize<double>(bytes);
    case DType::kI8:
      return Summarize<std::int8_t>(bytes);
    case DType::kU8:
    case DType::kBool:
      return Summarize<std::uint8_t>(bytes);
    case DType::kI16:
      return Summarize<std::int16_t>(bytes);
    case DType::kU16:
      return Summarize<std::uint16_t>(bytes);
    case DType::kI32:
      return Summarize<std::int32_t>(bytes);
    case DType::kU32:
      return Summarize<std::uint32_t>(bytes);
    case DType::kI64:
      return Summarize<std::int64_t>(bytes);
    case DType::kU64:
      return Summarize<std::uint64_t>(bytes);
  }
  return {};
}

std::uint64_t ModelInspection::parameters() const {
  std::uint64_t sum = 0;
  for (const TensorInspection& tensor : tensors) {
    if (tensor.role == Role::kParameter) sum += tensor.values.finite + tensor.values.not_finite;
  }
  return sum;
}

std::uint64_t ModelInspection::elements() const {
  std::uint64_t sum = 0;
  for (const TensorInspection& tensor : tensors) sum += tensor.values.finite + tensor.values.not_finite;
  return sum;
}

std::uint64_t ModelInspection::bytes() const {
  std::uint64_t sum = 0;
  for (const TensorInspection& tensor : tensors) sum += tensor.bytes;
  return sum;
}

Result<ModelInspection> InspectModelFile(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const FileFacts facts, ReadFacts(disk, path));
  ASSIGN_OR_RETURN(const ModelData model, ReadModelFile(disk, path));
  const Manifest manifest = DescribeModel(model);
  ModelInspection inspection{.path = std::string(path),
                             .format = facts.format,
                             .file_bytes = facts.bytes,
                             .file_sha256 = facts.sha256,
                             .model_id = ModelIdOf(EncodeManifest(manifest))};
  for (std::size_t i = 0; i < model.size(); ++i) {
    const Tensor& tensor = model[i].tensor;
    inspection.tensors.push_back({.name = model[i].name,
                                  .role = model[i].role,
                                  .dtype = tensor.dtype(),
                                  .shape = tensor.shape(),
                                  .bytes = tensor.byte_size(),
                                  .values = SummarizeValues(tensor),
                                  .hash = manifest.tensors[i].hash});
  }
  return inspection;
}

std::string FormatInspection(const ModelInspection& inspection) {
  std::string text = fmt::format("{}: {} of {}, {} tensors, {} parameters, {} of values\n", Escaped(inspection.path),
                                 ToString(inspection.format), HumanBytes(inspection.file_bytes),
                                 inspection.tensors.size(), inspection.parameters(), HumanBytes(inspection.bytes()));
  text += fmt::format("sha256 {}\nmodel  {}\n", ToHex(inspection.file_sha256), inspection.model_id);
  if (inspection.tensors.empty()) return text;
  std::vector<Row> rows = {{"name", "role", "dtype", "shape", "L2 norm", "min", "max", "hash"}};
  for (const TensorInspection& tensor : inspection.tensors) rows.push_back(RowOf(tensor));
  text += "\n" + FormatTable(rows);
  for (const TensorInspection& tensor : inspection.tensors) {
    if (tensor.values.not_finite == 0) continue;
    text += fmt::format("warning: tensor '{}': {} of {} values are NaN or infinite\n", Escaped(tensor.name),
                        tensor.values.not_finite, tensor.values.not_finite + tensor.values.finite);
  }
  return text;
}

nlohmann::ordered_json InspectionToJson(const ModelInspection& inspection) {
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson tensors = OrderedJson::array();
  for (const TensorInspection& tensor : inspection.tensors) {
    const bool any = tensor.values.finite > 0;
    tensors.push_back({{"name", tensor.name},
                       {"role", ToString(tensor.role)},
                       {"dtype", ToString(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes},
                       {"l2_norm", tensor.values.l2_norm},
                       {"min", any ? OrderedJson(tensor.values.min) : OrderedJson(nullptr)},
                       {"max", any ? OrderedJson(tensor.values.max) : OrderedJson(nullptr)},
                       {"not_finite", tensor.values.not_finite},
                       {"hash", ToHex(tensor.hash.bytes)}});
  }
  return {{"path", inspection.path},
          {"format", ToString(inspection.format)},
          {"file_bytes", inspection.file_bytes},
          {"sha256", ToHex(inspection.file_sha256)},
          {"model_id", inspection.model_id},
          {"parameters", inspection.parameters()},
          {"elements", inspection.elements()},
          {"bytes", inspection.bytes()},
          {"tensors", std::move(tensors)}};
}

}  // namespace fed_learn
