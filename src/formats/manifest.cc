// The manifest and selections of package.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/text.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::string_view kFormat = "fed_learn.model/1";
constexpr std::string_view kSha256Prefix = "sha256:";

std::string_view NameOf(Encoding encoding) { return encoding == Encoding::kRaw ? "raw" : "zeros"; }

bool IsZero(std::span<const std::byte> bytes) {
  std::size_t at = 0;
  for (; at + 64 <= bytes.size(); at += 64) {
    std::array<std::uint64_t, 8> words;
    std::memcpy(words.data(), bytes.data() + at, 64);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    if (any != 0) return false;
  }
  return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

// Looks for zeros piece by piece and hashes each piece while it is in the cache.
void DescribeBytes(std::span<const std::byte> bytes, ManifestEntry& entry) {
  constexpr std::size_t piece_bytes = 64 << 10;
  if (!IsZero(bytes.first(std::min(bytes.size(), piece_bytes)))) {
    entry.hash = HashContent(bytes);
    return;
  }
  ContentHasher hasher;
  bool zero = true;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto piece = bytes.subspan(at, std::min(zero ? piece_bytes : bytes.size(), bytes.size() - at));
    zero = zero && IsZero(piece);
    hasher.Update(piece);
    at += piece.size();
  }
  entry.hash = hasher.Finish();
  if (zero && !bytes.empty()) {
    entry.encoding = Encoding::kZeros;
    entry.length = 0;
  }
}

void AppendJsonString(std::string& out, std::string_view text) {
  constexpr std::string_view from = "\"\\\b\f\n\r\t";
  constexpr std::string_view to = "\"\\bfnrt";
  out += '"';
  for (const char c : text) {
    if (const std::size_t at = from.find(c); at != std::string_view::npos) {
      out += '\\';
      out += to[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

// An entry as its JSON says it, before anything is believed.
struct RawEntry {
  std::string name, role, dtype, encoding, hash;
  Shape shape;
  std::uint64_t length = 0;
};

enum Field : unsigned { kNothing, kName, kRole, kDType, kShape, kEncoding, kLength, kHash, kFormatField, kTensors };
constexpr std::array<std::string_view, 10> kFields = {"",         "name",   "role", "dtype",  "shape",
                                                      "encoding", "length", "hash", "format", "tensors"};
constexpr unsigned kEntryFields =
    1u << kName | 1u << kRole | 1u << kDType | 1u << kShape | 1u << kEncoding | 1u << kLength | 1u << kHash;
constexpr unsigned kTopFields = 1u << kFormatField | 1u << kTensors;

// nlohmann's event interface: builds the entries without a tree of the document, so that a manifest costs memory in
// proportion to its tensors, whatever else a peer wrote into it.
class ManifestEvents {
 public:
  std::vector<RawEntry> entries;
  std::string error;

  bool null() { return Other(); }
  bool boolean(bool) { return Other(); }
  bool number_float(double, const std::string&) { return Other(); }
  bool binary(std::vector<std::uint8_t>&) { return Other(); }

  bool number_integer(std::int64_t value) {
    if (Ignored()) return true;
    if (place_ != kInShape) return Wrong();
    entries.back().shape.push_back(value);
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (Ignored()) return true;
    if (place_ == kInShape) {
      if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return Wrong();
      entries.back().shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ != kInEntry || field_ != kLength) return Wrong();
    entries.back().length = value;
    return true;
  }

  bool string(std::string& value) {
    if (Ignored()) return true;
    if (place_ == kInTop && field_ == kFormatField) {
      if (value == kFormat) return true;
      return Fail(fmt::format("format is '{}'; this program reads {}", Escaped(value.substr(0, 60)), kFormat));
    }
    std::string* const into = place_ == kInEntry ? TextField() : nullptr;
    if (into == nullptr) return Wrong();
    *into = std::move(value);
    return true;
  }

  bool key(std::string& name) {
    if (ignored_depth_ > 0) return true;
    const unsigned allowed = place_ == kInTop ? kTopFields : kEntryFields;
    unsigned& seen = place_ == kInTop ? seen_top_ : seen_entry_;
    field_ = kNothing;
    for (unsigned field = kName; field <= kTensors; ++field) {
      if ((allowed >> field & 1u) != 0 && kFields[field] == name) field_ = static_cast<Field>(field);
    }
    if (field_ != kNothing && (seen >> field_ & 1u) != 0) return Fail(Where() + " has the key '" + name + "' twice");
    seen |= 1u << field_;
    return true;
  }

  bool start_object(std::size_t) {
    if (IgnoredStart()) return true;
    if (place_ == kBefore) {
      place_ = kInTop;
      return true;
    }
    if (place_ != kInTensors) return Wrong();
    place_ = kInEntry;
    field_ = kNothing;
    seen_entry_ = 0;
    entries.emplace_back();
    return true;
  }

  bool end_object() {
    if (ignored_depth_ > 0) return IgnoredEnd();
    const bool top = place_ == kInTop;
    const unsigned lacking = (top ? kTopFields & ~seen_top_ : kEntryFields & ~seen_entry_);
    for (unsigned field = kName; field <= kTensors; ++field) {
      if ((lacking >> field & 1u) != 0) return Fail(Where() + " lacks the key '" + std::string(kFields[field]) + "'");
    }
    place_ = top ? kAfter : kInTensors;
    return true;
  }

  bool start_array(std::size_t) {
    if (IgnoredStart()) return true;
    if (place_ == kInTop && field_ == kTensors) {
      place_ = kInTensors;
    } else if (place_ == kInEntry && field_ == kShape) {
      place_ = kInShape;
    } else {
      return Wrong();
    }
    return true;
  }

  bool end_array() {
    if (ignored_depth_ > 0) return IgnoredEnd();
    place_ = place_ == kInShape ? kInEntry : kInTop;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& exception) {
    return Fail("not JSON: " + Escaped(exception.what()));
  }

 private:
  enum Place { kBefore, kInTop, kInTensors, kInEntry, kInShape, kAfter };

  // The value of an unknown key, or part of it.
  bool Ignored() const {
    return ignored_depth_ > 0 || ((place_ == kInTop || place_ == kInEntry) && field_ == kNothing);
  }
  bool IgnoredStart() {
    if (!Ignored()) return false;
    ++ignored_depth_;
    return true;
  }
  bool IgnoredEnd() {
    --ignored_depth_;
    return true;
  }

  std::string* TextField() {
    RawEntry& entry = entries.back();
    switch (field_) {
      case kName:
        return &entry.name;
      case kRole:
        return &entry.role;
      case kDType:
        return &entry.dtype;
      case kEncoding:
        return &entry.encoding;
      case kHash:
        return &entry.hash;
      default:
        return nullptr;
    }
  }

  std::string Where() const {
    if (place_ == kBefore || place_ == kInTop || entries.empty()) return "the manifest";
    const std::string& name = entries.back().name;
    return fmt::format("tensor {}{}", entries.size() - 1, name.empty() ? "" : " ('" + Escaped(name) + "')");
  }

  bool Other() { return Ignored() || Wrong(); }
  bool Wrong() {
    const std::string_view field = place_ == kInTensors ? "tensors" : kFields[field_];
    if (field.empty()) return Fail("not a JSON object");
    return Fail(fmt::format("{} has a value of the wrong type under '{}'", Where(), field));
  }
  bool Fail(std::string message) {
    if (error.empty()) error = std::move(message);
    return false;
  }

  Place place_ = kBefore;
  Field field_ = kNothing;
  unsigned seen_top_ = 0;
  unsigned seen_entry_ = 0;
  std::size_t ignored_depth_ = 0;
};

std::string Quoted(const RawEntry& entry) { return "tensor '" + Escaped(entry.name) + "'"; }

// "sha256:" and 64 digits, or the 32 digits of a ContentHash.
Status ReadHash(std::string_view text, ManifestEntry& entry) {
  if (!text.starts_with(kSha256Prefix)) {
    ASSIGN_OR_RETURN(entry.hash, ContentHashFromHex(text));
    return {};
  }
  text.remove_prefix(kSha256Prefix.size());
  const std::size_t middle = std::min<std::size_t>(text.size(), 32);
  ASSIGN_OR_RETURN(const ContentHash first, ContentHashFromHex(text.substr(0, middle)));
  ASSIGN_OR_RETURN(const ContentHash second, ContentHashFromHex(text.substr(middle)));
  auto& digest = entry.sha256.emplace();
  std::copy(first.bytes.begin(), first.bytes.end(), digest.begin());
  std::copy(second.bytes.begin(), second.bytes.end(), digest.begin() + first.bytes.size());
  return {};
}

std::string HashText(const ManifestEntry& entry) {
  return entry.sha256 ? std::string(kSha256Prefix) + ToHex(*entry.sha256) : ToHex(entry.hash.bytes);
}

Status CheckNames(const std::vector<RawEntry>& entries) {
  std::unordered_set<std::string_view> names;
  names.reserve(entries.size());
  for (const RawEntry& entry : entries) {
    RETURN_IF_ERROR(CheckTensorName(entry.name));
    if (!names.insert(entry.name).second) {
      return InvalidArgument(Quoted(entry) + " is there twice; names must be unique");
    }
  }
  return {};
}

Result<std::vector<ManifestEntry>> CheckWords(std::vector<RawEntry> raw) {
  std::vector<ManifestEntry> entries(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const std::string where = Quoted(raw[i]);
    const auto role = RoleFromString(raw[i].role);
    if (!role.has_value()) return role.error().In(where);
    const auto dtype = DTypeFromString(raw[i].dtype);
    if (!dtype.has_value()) return dtype.error().In(where);
    if (raw[i].encoding != "raw" && raw[i].encoding != "zeros") {
      return InvalidArgument(where + ": encoding '" + Escaped(raw[i].encoding) + "' is not known; use raw or zeros");
    }
    entries[i] = {.name = std::move(raw[i].name),
                  .role = *role,
                  .dtype = *dtype,
                  .shape = std::move(raw[i].shape),
                  .encoding = raw[i].encoding == "raw" ? Encoding::kRaw : Encoding::kZeros,
                  .length = raw[i].length};
    if (auto status = ReadHash(raw[i].hash, entries[i]); !status.has_value()) return status.error().In(where);
  }
  return entries;
}

// REQUIRES: a shape that ElementsOf accepts.
std::uint64_t DecodedSize(const ManifestEntry& entry) {
  return static_cast<std::uint64_t>(ElementsOf(entry.shape).value()) * SizeOf(entry.dtype);
}

Status CheckSizes(const std::vector<ManifestEntry>& entries) {
  for (const ManifestEntry& entry : entries) {
    const std::string where = "tensor '" + Escaped(entry.name) + "'";
    if (const auto elements = ElementsOf(entry.shape); !elements.has_value()) return elements.error().In(where);
    const std::uint64_t travels = entry.encoding == Encoding::kRaw ? DecodedSize(entry) : 0;
    if (entry.length != travels) {
      return InvalidArgument(fmt::format("{}: length is {}, but {} {} {} has {} bytes", where, entry.length,
                                         NameOf(entry.encoding), ToString(entry.dtype), ToString(entry.shape),
                                         travels));
    }
  }
  return {};
}

Status CheckSum(const std::vector<ManifestEntry>& entries, std::uint64_t model_bytes_max) {
  std::uint64_t sum = 0;
  for (const ManifestEntry& entry : entries) {
    const std::uint64_t size = DecodedSize(entry);
    if (size > model_bytes_max - sum) {
      return ResourceExhausted(fmt::format("tensor '{}': the model is larger than {}, the limit here",
                                           Escaped(entry.name), HumanBytes(model_bytes_max)));
    }
    sum += size;
  }
  return {};
}

Result<Manifest> ParseBelievingNothing(std::string_view text, const PackageLimits& limits) {
  if (text.size() > limits.manifest_bytes) {
    return ResourceExhausted(fmt::format("the manifest has {}; at most {} are read", HumanBytes(text.size()),
                                         HumanBytes(limits.manifest_bytes)));
  }
  ManifestEvents events;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) return InvalidArgument(events.error);
  RETURN_IF_ERROR(CheckNames(events.entries));
  ASSIGN_OR_RETURN(std::vector<ManifestEntry> entries, CheckWords(std::move(events.entries)));
  RETURN_IF_ERROR(CheckSizes(entries));
  RETURN_IF_ERROR(CheckSum(entries, limits.model_bytes));
  return Manifest{std::move(entries)};
}

// Reads a number below `count` from the front of `text`; nothing if there is none.
std::optional<std::size_t> TakeIndex(std::string_view& text, std::size_t count) {
  std::size_t index = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (failed != std::errc() || index >= count) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return index;
}

}  // namespace

std::uint64_t Manifest::decoded_size() const {
  std::uint64_t size = 0;
  for (const ManifestEntry& entry : tensors) size += DecodedSize(entry);
  return size;
}

Manifest DescribeModel(const ModelData& model) {
  Manifest manifest;
  manifest.tensors.reserve(model.size());
  for (const NamedTensor& named : model) {
    ManifestEntry& entry = manifest.tensors.emplace_back();
    entry.name = named.name;
    entry.role = named.role;
    entry.dtype = named.tensor.dtype();
    entry.shape = named.tensor.shape();
    entry.length = named.tensor.byte_size();
    DescribeBytes(named.tensor.bytes(), entry);
  }
  return manifest;
}

std::string EncodeManifest(const Manifest& manifest) {
  std::string text;
  text.reserve(64 + manifest.tensors.size() * 192);
  fmt::format_to(std::back_inserter(text), R"({{"format":"{}","tensors":[)", kFormat);
  for (const ManifestEntry& entry : manifest.tensors) {
    text += &entry == manifest.tensors.data() ? R"({"name":)" : R"(,{"name":)";
    AppendJsonString(text, entry.name);
    fmt::format_to(std::back_inserter(text),
                   R"(,"role":"{}","dtype":"{}","shape":[{}],"encoding":"{}","length":{},"hash":"{}"}})",
                   ToString(entry.role), ToString(entry.dtype), fmt::join(entry.shape, ","), NameOf(entry.encoding),
                   entry.length, HashText(entry));
  }
  return text + "]}";
}

Result<Manifest> ParseManifest(std::string_view text, std::string_view source, const PackageLimits& limits) {
  auto manifest = ParseBelievingNothing(text, limits);
  if (!manifest.has_value()) return manifest.error().In(source);
  return manifest;
}

std::string ModelIdOf(std::string_view encoded_manifest) { return ToHex(HashContent(AsBytes(encoded_manifest)).bytes); }

std::string FormatSelection(const Selection& selection) {
  std::string text;
  for (std::size_t begin = 0; begin < selection.size();) {
    std::size_t end = begin + 1;
    while (end < selection.size() && selection[end] == selection[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(selection[begin]);
    if (end - begin > 1) text += "-" + std::to_string(selection[end - 1]);
    begin = end;
  }
  return text;
}

Result<Selection> ParseSelection(std::string_view text, std::size_t count) {
  const auto refused = [whole = text, count] {
    return InvalidArgument(
        fmt::format("'{}' does not select tensors; use ascending numbers and ranges below {}, like "
                    "0-3,7",
                    Escaped(whole.substr(0, 60)), count));
  };
  Selection selection;
  while (!text.empty()) {
    const auto first = TakeIndex(text, count);
    if (!first.has_value() || (!selection.empty() && *first <= selection.back())) return refused();
    auto last = first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      last = TakeIndex(text, count);
      if (!last.has_value() || *last < *first) return refused();
    }
    for (std::size_t index = *first; index <= *last; ++index) selection.push_back(index);
    if (text.empty()) break;
    if (!text.starts_with(',') || text.size() == 1) return refused();
    text.remove_prefix(1);
  }
  return selection;
}

}  // namespace fed_learn
