// The ModelReceiver of package.h.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <new>

#include "base/text.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kAlignment = 64;

// Hashes a tensor's bytes piece by piece, by whichever hash its entry has.
class TensorHasher {
 public:
  explicit TensorHasher(const ManifestEntry& entry) {
    if (entry.sha256) sha256_.emplace();
  }

  void Update(std::span<const std::byte> bytes) {
    if (sha256_) {
      sha256_->Update(bytes);
    } else {
      content_.Update(bytes);
    }
  }

  // Once.
  bool Fits(const ManifestEntry& entry) {
    return sha256_ ? sha256_->Finish() == entry.sha256 : content_.Finish() == entry.hash;
  }

 private:
  ContentHasher content_;
  std::optional<Sha256> sha256_;
};

bool FitsZeros(const ManifestEntry& entry, std::uint64_t size) {
  static constexpr std::array<std::byte, 16384> zeros{};
  TensorHasher hasher(entry);
  for (std::uint64_t left = size; left > 0;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, zeros.size()));
    hasher.Update(std::span(zeros).first(piece));
    left -= piece;
  }
  return hasher.Fits(entry);
}

Error WrongBytes(const ManifestEntry& entry) {
  return DataLoss("tensor '" + Escaped(entry.name) + "' arrived with other bytes than its hash says; send it again");
}

}  // namespace

struct ModelReceiver::State {
  Manifest manifest;
  std::shared_ptr<BufferPool> pool;
  std::vector<std::optional<Tensor>> found;  // by index in the manifest
  Selection lacking;
  std::vector<std::uint64_t> begins;  // of each lacking tensor in the slab
  std::uint64_t slab_bytes = 0;
  std::uint64_t lacking_bytes = 0;

  std::shared_ptr<std::byte[]> slab;
  std::uint64_t offset = 0;            // bytes received
  std::size_t current = 0;             // which lacking tensor fills now
  std::uint64_t filled = 0;            // bytes of it that are there
  std::optional<TensorHasher> hasher;  // over those
  std::optional<std::size_t> damaged;  // index of the first tensor that failed its hash

  const ManifestEntry& entry() const { return manifest.tensors[lacking[current]]; }

  std::span<std::byte> Place(std::size_t lacking_index) const {
    const std::uint64_t length = manifest.tensors[lacking[lacking_index]].length;
    return {slab.get() + begins[lacking_index], static_cast<std::size_t>(length)};
  }

  void CloseTensor(bool fits) {
    if (!fits && !damaged.has_value()) damaged = lacking[current];
    ++current;
    filled = 0;
  }
};

ModelReceiver::ModelReceiver(Manifest manifest, const Lookup& have, std::shared_ptr<BufferPool> pool)
    : state_(std::make_unique<State>()) {
  state_->manifest = std::move(manifest);
  state_->pool = std::move(pool);
  const auto& tensors = state_->manifest.tensors;
  state_->found.resize(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ManifestEntry& entry = tensors[i];
    if (entry.length == 0) continue;
    if (have) {
      auto tensor = have(entry);
      if (tensor.has_value() && tensor->dtype() == entry.dtype && tensor->shape() == entry.shape) {
        state_->found[i] = std::move(tensor);
        continue;
      }
    }
    state_->lacking.push_back(i);
    state_->begins.push_back(state_->slab_bytes);
    state_->slab_bytes += (entry.length + kAlignment - 1) / kAlignment * kAlignment;
    state_->lacking_bytes += entry.length;
  }
}

ModelReceiver::~ModelReceiver() = default;

const Selection& ModelReceiver::lacking() const { return state_->lacking; }
std::uint64_t ModelReceiver::lacking_bytes() const { return state_->lacking_bytes; }
std::uint64_t ModelReceiver::offset() const { return state_->offset; }

Status ModelReceiver::Expect(std::uint64_t total) {
  if (total != state_->lacking_bytes) {
    return InvalidArgument(
        fmt::format("{} bytes of tensors are announced, but the manifest lacks {}; send exactly the "
                    "tensors that were asked for",
                    total, state_->lacking_bytes));
  }
  if (total == 0 || state_->slab != nullptr) return {};
  try {
    state_->slab = state_->pool->Take(state_->slab_bytes);
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("there is no memory for " + HumanBytes(state_->slab_bytes) + " of tensors");
  }
  return {};
}

std::span<std::byte> ModelReceiver::Space() {
  if (state_->current == state_->lacking.size() || state_->slab == nullptr) return {};
  return state_->Place(state_->current).subspan(static_cast<std::size_t>(state_->filled));
}

void ModelReceiver::Advance(std::size_t bytes) {
  const auto arrived = Space().first(bytes);
  if (arrived.empty()) return;
  const ManifestEntry& entry = state_->entry();
  state_->offset += bytes;
  if (bytes == entry.length && !entry.sha256) return state_->CloseTensor(HashContent(arrived) == entry.hash);
  if (state_->filled == 0) state_->hasher.emplace(entry);
  state_->hasher->Update(arrived);
  state_->filled += bytes;
  if (state_->filled == entry.length) state_->CloseTensor(state_->hasher->Fits(entry));
}

Result<ModelData> ModelReceiver::Finish() {
  if (state_->offset != state_->lacking_bytes) {
    return FailedPrecondition(fmt::format("{} of {} bytes of the model have arrived; the rest is missing",
                                          state_->offset, state_->lacking_bytes));
  }
  const auto& tensors = state_->manifest.tensors;
  if (state_->damaged.has_value()) return WrongBytes(tensors[*state_->damaged]);
  ModelData model;
  std::size_t arrived = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ManifestEntry& entry = tensors[i];
    Tensor tensor;
    if (state_->found[i].has_value()) {
      tensor = *state_->found[i];
    } else if (entry.length > 0) {
      tensor = Tensor::View(entry.dtype, entry.shape, state_->slab, state_->Place(arrived++));
    } else {
      try {
        tensor = Tensor::Zeros(entry.dtype, entry.shape);
      } catch (const std::bad_alloc&) {
        return ResourceExhausted("there is no memory for tensor '" + Escaped(entry.name) + "'");
      }
      if (!FitsZeros(entry, tensor.byte_size())) return WrongBytes(entry);
    }
    RETURN_IF_ERROR(model.Add(entry.name, std::move(tensor), entry.role));
  }
  return model;
}

ModelReceiver::Lookup TensorsOf(std::shared_ptr<const EncodedModel> encoded) {
  std::map<ContentHash, std::size_t> index;
  for (std::size_t i = 0; i < encoded->manifest.tensors.size(); ++i) {
    const ManifestEntry& entry = encoded->manifest.tensors[i];
    if (!entry.sha256) index.emplace(entry.hash, i);
  }
  return [encoded = std::move(encoded), index = std::move(index)](const ManifestEntry& entry) -> std::optional<Tensor> {
    const auto found = entry.sha256 ? index.end() : index.find(entry.hash);
    if (found == index.end()) return std::nullopt;
    const Tensor& tensor = encoded->model[found->second].tensor;
    if (tensor.dtype() != entry.dtype || tensor.byte_size() != entry.length) return std::nullopt;
    return tensor.Reshaped(entry.shape);
  };
}

}  // namespace fed_learn
