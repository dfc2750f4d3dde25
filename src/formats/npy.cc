#include "formats/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/hash.h"
#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kHeaderBytesMax = 64 << 10;
constexpr std::size_t kAlignment = 64;

struct Descr {
  std::string_view text;
  DType dtype;
};
constexpr std::array<Descr, 12> kDescrs = {{{"<f2", DType::kF16},
                                            {"<f4", DType::kF32},
                                            {"<f8", DType::kF64},
                                            {"|i1", DType::kI8},
                                            {"|u1", DType::kU8},
                                            {"<i2", DType::kI16},
                                            {"<u2", DType::kU16},
                                            {"<i4", DType::kI32},
                                            {"<u4", DType::kU32},
                                            {"<i8", DType::kI64},
                                            {"<u8", DType::kU64},
                                            {"|b1", DType::kBool}}};

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

// Reads the one kind of Python literal that a header may hold.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  // Nothing if the text is anything but the dictionary.
  std::optional<Header> Read() {
    Header header;
    std::array<bool, 3> seen{};
    if (!Take('{')) return std::nullopt;
    while (!Take('}')) {
      const auto key = String();
      if (!key.has_value() || !Take(':') || !ReadValue(*key, header, seen)) return std::nullopt;
      if (!Take(',') && !Next('}')) return std::nullopt;
    }
    SkipSpace();
    if (!text_.empty() || seen != std::array<bool, 3>{true, true, true}) return std::nullopt;
    return header;
  }

 private:
  bool ReadValue(std::string_view key, Header& header, std::array<bool, 3>& seen) {
    constexpr std::array<std::string_view, 3> keys = {"descr", "fortran_order", "shape"};
    const auto index = static_cast<std::size_t>(std::find(keys.begin(), keys.end(), key) - keys.begin());
    if (index == keys.size() || seen[index]) return false;
    seen[index] = true;
    if (index == 0) return ReadDescr(header.descr);
    if (index == 1) return ReadBool(header.fortran_order);
    return ReadShape(header.shape);
  }

  // A list is a record dtype: kept as its first character, which no dtype of ours is called.
  bool ReadDescr(std::string& descr) {
    if (Next('[')) {
      descr = "[";
      const std::size_t end = text_.rfind(']');
      if (end == std::string_view::npos) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    const auto value = String();
    descr = value.value_or("");
    return value.has_value();
  }

  bool ReadBool(bool& value) {
    SkipSpace();
    value = text_.starts_with("True");
    if (!value && !text_.starts_with("False")) return false;
    text_.remove_prefix(value ? 4 : 5);
    return true;
  }

  bool ReadShape(Shape& shape) {
    if (!Take('(')) return false;
    while (!Take(')')) {
      SkipSpace();
      std::int64_t size = 0;
      const auto [end, failed] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (failed != std::errc()) return false;
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      shape.push_back(size);
      if (!Take(',') && !Next(')')) return false;
    }
    return true;
  }

  std::optional<std::string_view> String() {
    SkipSpace();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return std::nullopt;
    const std::size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }

  void SkipSpace() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n"), text_.size())); }
  bool Next(char c) {
    SkipSpace();
    return text_.starts_with(c);
  }
  bool Take(char c) {
    const bool there = Next(c);
    if (there) text_.remove_prefix(1);
    return there;
  }

  std::string_view text_;
};

struct Located {
  Header header;
  std::size_t values_begin = 0;
};

Result<Located> ReadHeader(std::string_view file) {
  if (!file.starts_with(kMagic) || file.size() < 8) return InvalidArgument("not a NumPy array: no \\x93NUMPY in front");
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(file[at])); };
  const std::size_t major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0) {
    return InvalidArgument(fmt::format("npy version {}.{} is not known; 1.0, 2.0 and 3.0 are", major, byte(7)));
  }
  const std::size_t begin = major == 1 ? 10 : 12;
  if (file.size() < begin) return InvalidArgument("the file ends inside its header");
  std::size_t length = byte(8) | byte(9) << 8;
  if (major > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > kHeaderBytesMax || length > file.size() - begin) {
    return InvalidArgument(fmt::format("a header of {} bytes is announced; the file, or the limit of {}, is shorter",
                                       length, kHeaderBytesMax));
  }
  const std::string_view text = file.substr(begin, length);
  auto header = HeaderReader(text).Read();
  if (!header.has_value()) {
    return InvalidArgument("the header is not {'descr': …, 'fortran_order': …, 'shape': …} but '" +
                           Escaped(text.substr(0, 80)) + "'");
  }
  return Located{*std::move(header), begin + length};
}

Result<DType> DTypeOfDescr(std::string_view descr) {
  for (const Descr& known : kDescrs) {
    if (known.text == descr) return known.dtype;
  }
  if (descr.starts_with('>')) {
    return InvalidArgument("dtype '" + Escaped(descr) + "' is big-endian; save array.astype('<" +
                           Escaped(descr.substr(1)) + "')");
  }
  return InvalidArgument("dtype '" + Escaped(descr) +
                         "' cannot be read; save numbers or bool (f2 f4 f8 i1-i8 u1-u8 b1), not objects or records");
}

// Copies what lies with the first index fastest so that the last one is.
Tensor FromFortranOrder(std::span<const std::byte> from, DType dtype, const Shape& shape) {
  Tensor tensor = Tensor::Allocate(dtype, shape);
  const std::size_t size = SizeOf(dtype);
  std::byte* out = tensor.mutable_bytes().data();
  std::vector<std::size_t> stride(shape.size());
  std::size_t step = size;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    stride[axis] = step;
    step *= static_cast<std::size_t>(shape[axis]);
  }
  std::vector<std::int64_t> index(shape.size(), 0);
  std::size_t at = 0;
  for (std::int64_t i = 0; i < tensor.elements(); ++i, out += size) {
    std::memcpy(out, from.data() + at, size);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= stride[axis] * static_cast<std::size_t>(shape[axis]);
      index[axis] = 0;
    }
  }
  return tensor;
}

Result<Tensor> ParseBelievingNothing(const FileBytes& file) {
  const std::string_view text(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  ASSIGN_OR_RETURN(const Located located, ReadHeader(text));
  const Header& header = located.header;
  ASSIGN_OR_RETURN(const DType dtype, DTypeOfDescr(header.descr));
  ASSIGN_OR_RETURN(const std::int64_t elements, ElementsOf(header.shape));
  const std::uint64_t wanted = static_cast<std::uint64_t>(elements) * SizeOf(dtype);
  const std::uint64_t there = file.bytes.size() - located.values_begin;
  if (wanted != there) {
    return InvalidArgument(fmt::format("{} {} has {} bytes, but {} follow the header", ToString(dtype),
                                       ToString(header.shape), wanted, there));
  }
  if (header.fortran_order && header.shape.size() > 1) {
    return FromFortranOrder(file.bytes.subspan(located.values_begin), dtype, header.shape);
  }
  return TensorAt(file, located.values_begin, dtype, header.shape);
}

std::string PythonTuple(const Shape& shape) {
  if (shape.size() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape, ", "));
}

}  // namespace

Result<Tensor> ParseNpy(const FileBytes& file, std::string_view source) {
  auto tensor = ParseBelievingNothing(file);
  if (!tensor.has_value()) return tensor.error().In(source);
  return tensor;
}

Result<std::string> EncodeNpyHeader(const Tensor& tensor) {
  const auto known =
      std::find_if(kDescrs.begin(), kDescrs.end(), [&](const Descr& descr) { return descr.dtype == tensor.dtype(); });
  if (known == kDescrs.end()) {
    return InvalidArgument("NumPy has no " + std::string(ToString(tensor.dtype())) + "; write a safetensors file");
  }
  const Shape& shape = tensor.shape();
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", known->text, PythonTuple(shape));
  // NumPy leaves room for the first size to grow to 21 digits in place.
  if (!shape.empty()) header.append(21 - std::min<std::size_t>(21, std::to_string(shape[0]).size()), ' ');
  const bool long_header = header.size() + 1 + kAlignment > 0xffff;
  const std::size_t before = long_header ? 12 : 10;
  header.append(kAlignment - (before + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string text(kMagic);
  text += {long_header ? '\2' : '\1', '\0'};
  for (std::size_t i = 0; i < before - 8; ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return text + header;
}

}  // namespace fed_learn
