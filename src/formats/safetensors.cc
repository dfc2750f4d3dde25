#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kRoles = "fed_learn.roles";
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;  // of the first value in the file

// In the order of DType.
constexpr std::array<std::string_view, 13> kDTypes = {"F16", "BF16", "F32", "F64", "I8",  "U8",  "I16",
                                                      "U16", "I32",  "U32", "I64", "U64", "BOOL"};

struct RawEntry {
  std::string name, dtype;
  Shape shape;
  std::vector<std::uint64_t> offsets;
};

// nlohmann's event interface. A tree would lose the order of tensors, and cost many times the header.
class HeaderEvents {
 public:
  std::vector<RawEntry> entries;
  std::optional<std::string> roles;
  std::string error;

  bool null() { return Wrong(); }
  bool boolean(bool) { return Wrong(); }
  bool number_integer(std::int64_t) { return Wrong(); }
  bool number_float(double, const std::string&) { return Wrong(); }
  bool binary(std::vector<std::uint8_t>&) { return Wrong(); }

  bool number_unsigned(std::uint64_t value) {
    if (place_ == kInOffsets && entries.back().offsets.size() < 2) {
      entries.back().offsets.push_back(value);
      return true;
    }
    if (place_ != kInShape || value > std::uint64_t{INT64_MAX}) return Wrong();
    entries.back().shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(std::string& value) {
    if (place_ == kInMetadata) {
      if (key_ == kRoles) roles = std::move(value);
      return true;
    }
    if (place_ != kInEntry || key_ != "dtype") return Wrong();
    entries.back().dtype = std::move(value);
    return true;
  }

  bool key(std::string& name) {
    key_ = std::move(name);
    if (place_ != kInEntry) return true;
    const std::size_t field = FieldOf(key_);
    if (field == kFields.size()) return Fail(Where() + " has an unknown key '" + Escaped(key_) + "'");
    if (seen_[field]) return Fail(Where() + " has the key '" + key_ + "' twice");
    seen_[field] = true;
    return true;
  }

  bool start_object(std::size_t) {
    if (place_ == kBefore) {
      place_ = kInTop;
    } else if (place_ == kInTop && key_ == kMetadata) {
      if (had_metadata_) return Fail("the header has __metadata__ twice");
      had_metadata_ = true;
      place_ = kInMetadata;
    } else if (place_ == kInTop) {
      place_ = kInEntry;
      seen_ = {};
      entries.push_back({.name = key_});
    } else {
      return Wrong();
    }
    return true;
  }

  bool end_object() {
    if (place_ == kInEntry) {
      const auto absent = std::find(seen_.begin(), seen_.end(), false) - seen_.begin();
      if (static_cast<std::size_t>(absent) < kFields.size()) {
        return Fail(Where() + " lacks the key '" + std::string(kFields[static_cast<std::size_t>(absent)]) + "'");
      }
      if (entries.back().offsets.size() != 2) return Fail(Where() + " has data_offsets that are not two numbers");
    }
    place_ = place_ == kInTop ? kAfter : kInTop;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != kInEntry || key_ == "dtype") return Wrong();
    place_ = key_ == "shape" ? kInShape : kInOffsets;
    return true;
  }

  bool end_array() {
    place_ = kInEntry;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& exception) {
    return Fail("the header is not JSON: " + Escaped(exception.what()));
  }

 private:
  enum Place { kBefore, kInTop, kInMetadata, kInEntry, kInShape, kInOffsets, kAfter };
  static constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};

  static std::size_t FieldOf(std::string_view name) {
    return static_cast<std::size_t>(std::find(kFields.begin(), kFields.end(), name) - kFields.begin());
  }

  std::string Where() const { return "tensor '" + Escaped(entries.back().name) + "'"; }

  bool Wrong() {
    if (place_ == kBefore) return Fail("the header is not a JSON object");
    if (place_ == kInTop) return Fail("'" + Escaped(key_) + "' is not an object");
    if (place_ == kInMetadata)
      return Fail("__metadata__ has a value that is not a string under '" + Escaped(key_) + "'");
    return Fail(Where() + " has a value of the wrong type under '" + Escaped(key_) + "'");
  }
  bool Fail(std::string message) {
    if (error.empty()) error = std::move(message);
    return false;
  }

  Place place_ = kBefore;
  std::string key_;
  std::array<bool, 3> seen_{};
  bool had_metadata_ = false;
};

struct Entry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t begin = 0;  // from the first value
  std::uint64_t end = 0;
};

Result<DType> DTypeOfWord(std::string_view word) {
  const auto known = std::find(kDTypes.begin(), kDTypes.end(), word);
  if (known != kDTypes.end()) return static_cast<DType>(known - kDTypes.begin());
  return InvalidArgument("dtype '" + Escaped(word) + "' cannot be read; convert the tensor to F16, BF16 or wider");
}

Result<Entry> CheckEntry(RawEntry raw) {
  RETURN_IF_ERROR(CheckTensorName(raw.name));
  const std::string where = "tensor '" + Escaped(raw.name) + "'";
  const auto dtype = DTypeOfWord(raw.dtype);
  if (!dtype.has_value()) return dtype.error().In(where);
  const auto elements = ElementsOf(raw.shape);
  if (!elements.has_value()) return elements.error().In(where);
  const std::uint64_t size = static_cast<std::uint64_t>(*elements) * SizeOf(*dtype);
  const std::uint64_t begin = raw.offsets[0], end = raw.offsets[1];
  if (end < begin || end - begin != size) {
    return InvalidArgument(fmt::format("{}: data_offsets [{}, {}] are not the {} bytes of {} {}", where, begin, end,
                                       size, raw.dtype, ToString(raw.shape)));
  }
  return Entry{std::move(raw.name), *dtype, std::move(raw.shape), begin, end};
}

Status CheckCover(const std::vector<Entry>& entries, std::uint64_t bytes) {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries) order.push_back(&entry);
  std::ranges::sort(
      order, [](const Entry* a, const Entry* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  std::uint64_t covered = 0;
  for (const Entry* entry : order) {
    if (entry->begin != covered) {
      return InvalidArgument(fmt::format("tensor '{}' begins at {}, but the values before it end at {}: {}",
                                         Escaped(entry->name), entry->begin, covered,
                                         entry->begin < covered ? "an overlap" : "a gap"));
    }
    covered = entry->end;
  }
  if (covered == bytes) return {};
  return InvalidArgument(fmt::format("the tensors' values end at {}, the file's at {}: it is {}", covered, bytes,
                                     covered > bytes ? "cut short" : "longer than its header says"));
}

// Sets the roles that the metadata states; `roles` begins as all parameters.
Status ReadRoles(std::string_view text, std::unordered_map<std::string, Role>& roles) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "__metadata__." + std::string(kRoles)));
  const Error wrong = InvalidArgument("__metadata__." + std::string(kRoles) + " is not {role: [name, …], …}");
  if (!json.is_object()) return wrong;
  for (const auto& [word, names] : json.items()) {
    ASSIGN_OR_RETURN(const Role role, RoleFromString(word));
    if (!names.is_array()) return wrong;
    for (const Json& name : names) {
      const std::string* text_of_name = name.get_ptr<const std::string*>();
      if (text_of_name == nullptr) return wrong;
      const auto found = roles.find(*text_of_name);
      if (found == roles.end()) {
        return InvalidArgument("__metadata__." + std::string(kRoles) + " names '" + Escaped(*text_of_name) +
                               "', which is no tensor of the file");
      }
      found->second = role;
    }
  }
  return {};
}

Result<std::string_view> FindHeader(std::string_view file, const SafetensorsLimits& limits) {
  if (file.size() < kLengthBytes) return InvalidArgument("not a safetensors file: shorter than 8 bytes");
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(file[i])) << (8 * i);
  }
  if (length > limits.header_bytes) {
    return InvalidArgument(
        fmt::format("a header of {} bytes is announced; at most {} are read", length, limits.header_bytes));
  }
  if (length > file.size() - kLengthBytes) {
    return InvalidArgument(fmt::format("a header of {} bytes is announced; the file is shorter", length));
  }
  return file.substr(kLengthBytes, static_cast<std::size_t>(length));
}

Result<ModelData> MakeModel(const FileBytes& file, std::uint64_t values_begin, std::vector<Entry> entries,
                            const std::optional<std::string>& roles_text) {
  std::unordered_map<std::string, Role> roles;
  if (roles_text.has_value()) {
    for (const Entry& entry : entries) roles.emplace(entry.name, Role::kParameter);
    RETURN_IF_ERROR(ReadRoles(*roles_text, roles));
  }
  ModelData model;
  for (Entry& entry : entries) {
    Tensor tensor = TensorAt(file, values_begin + entry.begin, entry.dtype, std::move(entry.shape));
    const Role role = roles_text.has_value() ? roles.at(entry.name) : GuessRole(entry.name, tensor);
    RETURN_IF_ERROR(model.Add(std::move(entry.name), std::move(tensor), role));
  }
  return model;
}

Result<ModelData> ParseBelievingNothing(const FileBytes& file, const SafetensorsLimits& limits) {
  const std::string_view text(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  ASSIGN_OR_RETURN(const std::string_view header, FindHeader(text, limits));
  HeaderEvents events;
  if (!Json::sax_parse(header.begin(), header.end(), &events)) return InvalidArgument(events.error);
  std::vector<Entry> entries;
  entries.reserve(events.entries.size());
  std::unordered_set<std::string> names;
  for (RawEntry& raw : events.entries) {
    ASSIGN_OR_RETURN(Entry entry, CheckEntry(std::move(raw)));
    if (!names.insert(entry.name).second) {
      return InvalidArgument("tensor '" + Escaped(entry.name) + "' is there twice; names must be unique");
    }
    entries.push_back(std::move(entry));
  }
  const std::uint64_t values_begin = kLengthBytes + header.size();
  RETURN_IF_ERROR(CheckCover(entries, text.size() - values_begin));
  return MakeModel(file, values_begin, std::move(entries), events.roles);
}

// Where each tensor's values begin: the widest dtype first, else in the model's order.
struct Layout {
  std::vector<std::size_t> order;
  std::vector<std::uint64_t> begins;  // by index in the model
};

Layout LayOut(const ModelData& model) {
  Layout layout;
  layout.order.resize(model.size());
  layout.begins.resize(model.size());
  std::iota(layout.order.begin(), layout.order.end(), std::size_t{0});
  std::ranges::stable_sort(layout.order, std::greater<>(),
                           [&](std::size_t index) { return SizeOf(model[index].tensor.dtype()); });
  std::uint64_t begin = 0;
  for (const std::size_t index : layout.order) {
    layout.begins[index] = begin;
    begin += model[index].tensor.byte_size();
  }
  return layout;
}

// "format" tells Hugging Face's loaders that names and layout are as PyTorch has them.
std::string EncodeMetadata(const ModelData& model) {
  nlohmann::ordered_json roles = nlohmann::ordered_json::object();
  for (const Role role : {Role::kBuffer, Role::kCounter, Role::kOpaque}) {
    for (const NamedTensor& named : model) {
      if (named.role == role) roles[std::string(ToString(role))].push_back(named.name);
    }
  }
  nlohmann::ordered_json metadata = {{"format", "pt"}};
  metadata[std::string(kRoles)] = roles.dump();
  return metadata.dump();
}

std::string EncodeHeader(const ModelData& model, const Layout& layout) {
  std::string header = "{\"" + std::string(kMetadata) + "\":" + EncodeMetadata(model);
  for (std::size_t i = 0; i < model.size(); ++i) {
    const Tensor& tensor = model[i].tensor;
    fmt::format_to(std::back_inserter(header), R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                   Json(model[i].name).dump(), kDTypes[static_cast<std::size_t>(tensor.dtype())],
                   fmt::join(tensor.shape(), ","), layout.begins[i], layout.begins[i] + tensor.byte_size());
  }
  header += '}';
  header.append((kAlignment - (kLengthBytes + header.size()) % kAlignment) % kAlignment, ' ');
  return header;
}

Status WriteContents(File& file, const ModelData& model) {
  const Layout layout = LayOut(model);
  const std::string header = EncodeHeader(model, layout);
  std::string length;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length += static_cast<char>(header.size() >> (8 * i) & 0xff);
  RETURN_IF_ERROR(file.WriteAt(0, AsBytes(length + header)));
  const std::uint64_t values_begin = kLengthBytes + header.size();
  for (const std::size_t index : layout.order) {
    const auto bytes = model[index].tensor.bytes();
    if (!bytes.empty()) RETURN_IF_ERROR(file.WriteAt(values_begin + layout.begins[index], bytes));
  }
  return {};
}

}  // namespace

Result<ModelData> ParseSafetensors(const FileBytes& file, std::string_view source, const SafetensorsLimits& limits) {
  auto model = ParseBelievingNothing(file, limits);
  if (!model.has_value()) return model.error().In(source);
  return model;
}

Status WriteSafetensors(Disk& disk, std::string_view path, const ModelData& model) {
  if (model.Contains(kMetadata)) {
    return InvalidArgument(std::string(path) + ": a safetensors file cannot hold a tensor called __metadata__");
  }
  return WriteAtomically(disk, path, [&](File& file) { return WriteContents(file, model); });
}

}  // namespace fed_learn
