#include "transport/local/model_message.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t Aligned(std::uint64_t offset) {
  return (offset + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

struct Entry {
  std::string name;
  std::optional<Role> role;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

Result<std::string> ReadText(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return InvalidArgument(std::string(key) + " must be a string");
  return found->get<std::string>();
}

bool IsSize(const Json& json) {
  return json.is_number_unsigned() || (json.is_number_integer() && json.get<std::int64_t>() >= 0);
}

Result<std::uint64_t> ReadSize(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !IsSize(*found)) {
    return InvalidArgument(std::string(key) + " must be a whole number of at least 0");
  }
  return found->get<std::uint64_t>();
}

Result<Shape> ReadShape(const Json& json) {
  const auto found = json.find("shape");
  if (found == json.end() || !found->is_array()) return InvalidArgument("shape must be a list of whole numbers");
  Shape shape;
  for (const Json& size : *found) {
    const bool fits = IsSize(size) && size.get<std::uint64_t>() <= std::uint64_t{INT64_MAX};
    if (!fits) return InvalidArgument("shape must be a list of whole numbers of at least 0");
    shape.push_back(size.get<std::int64_t>());
  }
  return shape;
}

// Everything of an entry but its name.
Status ReadFacts(const Json& json, Entry& entry) {
  if (json.contains("role")) {
    ASSIGN_OR_RETURN(const std::string role, ReadText(json, "role"));
    ASSIGN_OR_RETURN(entry.role, RoleFromString(role));
  }
  ASSIGN_OR_RETURN(const std::string dtype, ReadText(json, "dtype"));
  ASSIGN_OR_RETURN(entry.dtype, DTypeFromString(dtype));
  ASSIGN_OR_RETURN(entry.shape, ReadShape(json));
  ASSIGN_OR_RETURN(entry.offset, ReadSize(json, "offset"));
  ASSIGN_OR_RETURN(entry.length, ReadSize(json, "length"));
  ASSIGN_OR_RETURN(const std::int64_t elements, ElementsOf(entry.shape));
  const std::uint64_t length = static_cast<std::uint64_t>(elements) * SizeOf(entry.dtype);
  if (length != entry.length) {
    return InvalidArgument("length is " + std::to_string(entry.length) + ", but " + std::string(ToString(entry.dtype)) +
                           " " + ToString(entry.shape) + " takes " + std::to_string(length) + " bytes");
  }
  return {};
}

// `end` is where the tensor before it ends, and is moved on.
Status CheckPlace(const Entry& entry, std::uint64_t memory_size, std::uint64_t& end) {
  if (entry.offset % kTensorAlignment != 0) {
    return InvalidArgument("offset " + std::to_string(entry.offset) + " is not a multiple of 64");
  }
  if (entry.offset < end) {
    return InvalidArgument("offset " + std::to_string(entry.offset) + " lies in or before the tensor before it, " +
                           "which ends at " + std::to_string(end));
  }
  if (entry.offset > memory_size || entry.length > memory_size - entry.offset) {
    return InvalidArgument("bytes " + std::to_string(entry.offset) + " to +" + std::to_string(entry.length) +
                           " lie outside the memory of " + std::to_string(memory_size) + " bytes");
  }
  end = entry.offset + entry.length;
  return {};
}

}  // namespace

Status PackModel(const ModelData& model, std::string_view key, LocalMessage& message) {
  Json tensors = Json::array();
  std::uint64_t end = 0;
  for (const NamedTensor& tensor : model) {
    const std::uint64_t offset = Aligned(end);
    tensors.push_back({{"name", tensor.name},
                       {"role", ToString(tensor.role)},
                       {"dtype", ToString(tensor.tensor.dtype())},
                       {"shape", tensor.tensor.shape()},
                       {"offset", offset},
                       {"length", tensor.tensor.byte_size()}});
    end = offset + tensor.tensor.byte_size();
  }
  ASSIGN_OR_RETURN(SharedMemoryWriter writer, SharedMemoryWriter::Create(end));
  for (std::size_t i = 0; i < model.size(); ++i) {
    RETURN_IF_ERROR(writer.WriteAt(tensors[i]["offset"].get<std::uint64_t>(), model[i].tensor.bytes()));
  }
  ASSIGN_OR_RETURN(message.memory, std::move(writer).Finish());
  message.header[std::string(key)] = {{"tensors", std::move(tensors)}};
  return {};
}

Result<ModelData> UnpackModel(const LocalMessage& message, std::string_view key, std::string_view peer) {
  const std::string where = std::string(peer) + ": " + std::string(key);
  const auto found = message.header.find(std::string(key));
  if (found == message.header.end() || !found->is_object() || !found->contains("tensors") ||
      !(*found)["tensors"].is_array()) {
    return InvalidArgument(where + R"( must be {"tensors": […]})");
  }
  if (!message.memory.has_value()) return InvalidArgument(where + " came without memory attached");
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedMemory> memory, message.memory->Map());
  ModelData model;
  std::uint64_t end = 0;
  for (const Json& json : (*found)["tensors"]) {
    Entry entry;
    auto name = json.is_object() ? ReadText(json, "name") : InvalidArgument("a tensor must be an object");
    if (!name.has_value()) return name.error().In(where);
    entry.name = *std::move(name);
    const std::string tensor_where = where + ": tensor '" + Escaped(entry.name.substr(0, 200)) + "'";
    if (Status read = ReadFacts(json, entry); !read.has_value()) return read.error().In(tensor_where);
    if (Status place = CheckPlace(entry, memory->bytes().size(), end); !place.has_value()) {
      return place.error().In(tensor_where);
    }
    const auto bytes =
        entry.length == 0 ? std::span<const std::byte>() : memory->bytes().subspan(entry.offset, entry.length);
    Tensor tensor = Tensor::View(entry.dtype, std::move(entry.shape), memory, bytes);
    const Role role = entry.role.value_or(GuessRole(entry.name, tensor));
    if (Status added = model.Add(std::move(entry.name), std::move(tensor), role); !added.has_value()) {
      return added.error().In(where);
    }
  }
  return model;
}

}  // namespace fed_learn
