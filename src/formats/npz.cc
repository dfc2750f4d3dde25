#include "formats/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <array>
#include <memory>

#include "base/hash.h"
#include "base/text.h"
#include "formats/npy.h"

namespace fed_learn {
namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr std::size_t kEndBytes = 22;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Member = std::unique_ptr<zip_file_t, Discard>;
using Source = std::unique_ptr<zip_source_t, Discard>;

Result<Archive> OpenArchive(std::span<const std::byte> bytes) {
  if (bytes.size() < kEndBytes) return InvalidArgument("not a zip archive: shorter than a zip's end record");
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  Archive archive;
  if (source != nullptr) archive.reset(zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  const std::string why = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (archive == nullptr) return InvalidArgument("not a sound zip archive: " + Escaped(why));
  static_cast<void>(source.release());  // the archive's now
  return archive;
}

struct Entry {
  std::string name;  // the tensor's
  std::uint64_t size = 0;
};

Result<Entry> CheckEntry(zip_t* archive, zip_uint64_t index) {
  zip_stat_t stat;
  constexpr zip_uint64_t needed =
      ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive, index, ZIP_FL_ENC_RAW, &stat) != 0 || (stat.valid & needed) != needed) {
    return InvalidArgument(fmt::format("member {} has no sound directory entry", index));
  }
  const std::string_view name = stat.name;
  if (!name.ends_with(kSuffix)) {
    return InvalidArgument("member '" + Escaped(name) +
                           "' is not an array (….npy); a PyTorch or Keras file can be saved as safetensors instead");
  }
  if (stat.encryption_method != ZIP_EM_NONE ||
      (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)) {
    return InvalidArgument("member '" + Escaped(name) +
                           "' is encrypted or packed in a way other than deflate; save it "
                           "with numpy.savez");
  }
  // Deflate makes at most 1,032 bytes of one.
  const std::uint64_t size_max = stat.comp_method == ZIP_CM_STORE ? stat.comp_size : (stat.comp_size + 16) * 1032;
  if (stat.comp_size > (1ull << 50) || stat.size > size_max) {
    return InvalidArgument(fmt::format("member '{}' claims {} bytes, more than its {} packed ones can hold",
                                       Escaped(name), stat.size, stat.comp_size));
  }
  return Entry{std::string(name.substr(0, name.size() - kSuffix.size())), stat.size};
}

// Reads to the very end, which is where libzip compares the CRC-32.
Result<FileBytes> ReadMember(zip_t* archive, zip_uint64_t index, std::uint64_t size) {
  const Member member(zip_fopen_index(archive, index, 0));
  if (member == nullptr) return InvalidArgument("it cannot be opened: " + Escaped(zip_strerror(archive)));
  auto bytes = std::make_shared<Tensor>(Tensor::Allocate(DType::kU8, {static_cast<std::int64_t>(size)}));
  const auto out = bytes->mutable_bytes();
  std::size_t filled = 0;
  std::array<std::byte, 1> beyond{};
  while (true) {
    const auto space = filled < out.size() ? out.subspan(filled) : std::span<std::byte>(beyond);
    const zip_int64_t read = zip_fread(member.get(), space.data(), space.size());
    if (read < 0) return InvalidArgument("its bytes are damaged: " + Escaped(zip_file_strerror(member.get())));
    if (read == 0) break;
    if (filled == out.size()) return InvalidArgument("it holds more bytes than its directory entry says");
    filled += static_cast<std::size_t>(read);
  }
  if (filled < out.size()) return InvalidArgument("it holds fewer bytes than its directory entry says");
  const auto view = bytes->bytes();
  return FileBytes{std::move(bytes), view};
}

Result<ModelData> ParseBelievingNothing(std::span<const std::byte> bytes, const NpzLimits& limits) {
  ASSIGN_OR_RETURN(const Archive archive, OpenArchive(bytes));
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(archive.get(), 0));
  std::vector<Entry> entries;
  std::uint64_t total = 0;
  for (zip_uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Entry entry, CheckEntry(archive.get(), i));
    if (entry.size > limits.model_bytes - total) {
      return ResourceExhausted("member '" + Escaped(entry.name) + ".npy': the arrays together are larger than " +
                               HumanBytes(limits.model_bytes) + ", the limit here");
    }
    total += entry.size;
    entries.push_back(std::move(entry));
  }
  ModelData model;
  for (zip_uint64_t i = 0; i < count; ++i) {
    const std::string where = "member '" + Escaped(entries[i].name) + ".npy'";
    const auto member = ReadMember(archive.get(), i, entries[i].size);
    if (!member.has_value()) return member.error().In(where);
    ASSIGN_OR_RETURN(Tensor tensor, ParseNpy(*member, where));
    RETURN_IF_ERROR(model.Add(std::move(entries[i].name), std::move(tensor)));
  }
  return model;
}

// An archive that is being made in memory. libzip reads the tensors' bytes where they lie, when it is closed.
class Packing {
 public:
  Packing() : buffer_(zip_source_buffer_create(nullptr, 0, 0, nullptr)) {
    if (buffer_ == nullptr) return;
    zip_source_keep(buffer_.get());  // one for the archive, one to read what it wrote
    archive_.reset(zip_open_from_source(buffer_.get(), ZIP_CREATE | ZIP_TRUNCATE, nullptr));
    if (archive_ == nullptr) zip_source_free(buffer_.get());
  }

  // REQUIRES: `tensor` and `header` live until Close.
  Status Add(const std::string& name, std::string_view header, const Tensor& tensor) {
    if (archive_ == nullptr) return Wrong();
    const auto piece = [](std::span<const std::byte> bytes) {
      auto* data = reinterpret_cast<zip_uint8_t*>(const_cast<std::byte*>(bytes.data()));
      return zip_buffer_fragment_t{data, bytes.size()};
    };
    const std::array<zip_buffer_fragment_t, 2> pieces = {piece(AsBytes(header)), piece(tensor.bytes())};
    const zip_uint64_t count = tensor.byte_size() == 0 ? 1 : 2;
    Source source(zip_source_buffer_fragment(archive_.get(), pieces.data(), count, 0));
    if (source == nullptr) return Wrong();
    const zip_int64_t index = zip_file_add(archive_.get(), name.c_str(), source.get(), ZIP_FL_ENC_UTF_8);
    if (index < 0) return Wrong();
    static_cast<void>(source.release());  // the archive's now
    constexpr zip_uint16_t first_of_1980 = (0u << 9) | (1u << 5) | 1u;
    const auto at = static_cast<zip_uint64_t>(index);
    if (zip_set_file_compression(archive_.get(), at, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive_.get(), at, 0, first_of_1980, 0) != 0) {
      return Wrong();
    }
    return {};
  }

  Status CloseInto(File& file) {
    if (archive_ == nullptr || zip_close(archive_.get()) != 0) return Wrong();
    static_cast<void>(archive_.release());
    if (zip_source_open(buffer_.get()) != 0) return Wrong();
    std::vector<std::byte> piece(1 << 20);
    std::uint64_t offset = 0;
    for (zip_int64_t read = 0; (read = zip_source_read(buffer_.get(), piece.data(), piece.size())) > 0;) {
      RETURN_IF_ERROR(file.WriteAt(offset, std::span(piece).first(static_cast<std::size_t>(read))));
      offset += static_cast<std::uint64_t>(read);
    }
    zip_source_close(buffer_.get());
    return {};
  }

 private:
  Error Wrong() {
    return Internal("the zip archive cannot be made: " +
                    Escaped(archive_ == nullptr ? "no memory" : zip_strerror(archive_.get())));
  }

  Source buffer_;
  Archive archive_;
};

// An archive without members is just its end record; libzip would leave nothing at all.
Status WriteEmpty(File& file) {
  std::array<std::byte, kEndBytes> end{std::byte{'P'}, std::byte{'K'}, std::byte{5}, std::byte{6}};
  return file.WriteAt(0, end);
}

Status WriteMembers(File& file, const ModelData& model) {
  if (model.empty()) return WriteEmpty(file);
  std::vector<std::string> headers;
  for (const NamedTensor& named : model) {
    if (named.name.find('\0') != std::string::npos) {
      return InvalidArgument("tensor '" + Escaped(named.name) +
                             "' has a zero byte in its name, which a zip cannot hold");
    }
    auto header = EncodeNpyHeader(named.tensor);
    if (!header.has_value()) return header.error().In("tensor '" + Escaped(named.name) + "'");
    headers.push_back(*std::move(header));
  }
  Packing packing;
  for (std::size_t i = 0; i < model.size(); ++i) {
    RETURN_IF_ERROR(packing.Add(model[i].name + std::string(kSuffix), headers[i], model[i].tensor));
  }
  return packing.CloseInto(file);
}

}  // namespace

Result<ModelData> ParseNpz(const FileBytes& file, std::string_view source, const NpzLimits& limits) {
  auto model = ParseBelievingNothing(file.bytes, limits);
  if (!model.has_value()) return model.error().In(source);
  return model;
}

Status WriteNpz(Disk& disk, std::string_view path, const ModelData& model) {
  const Status written = WriteAtomically(disk, path, [&](File& file) { return WriteMembers(file, model); });
  if (!written.has_value() && written.error().kind() == ErrorKind::kInvalidArgument) return written.error().In(path);
  return written;
}

}  // namespace fed_learn
