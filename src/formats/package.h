// package: a model as a manifest followed by raw bytes. One encoding for the wire, the stored model, the staged upload
// and the kept update; byte-exact in docs/model_format.md.
//
// The manifest is JSON: {"format": "fed_learn.model/1", "tensors": [{"name", "role", "dtype", "shape", "encoding",
// "length", "hash"}, …]}. "hash" is the XXH3-128 of the tensor's bytes, whatever the encoding; from writers without
// XXH3, "sha256:" and their SHA-256, which serves to verify but not to find equal tensors. Encoding "raw": `length`
// bytes, little-endian, C order. Encoding "zeros": no bytes follow, length 0 (an untouched layer's difference is free).
// A package file is "FLMODEL1", the manifest's length as u64 little-endian, the manifest, the bytes in manifest order
// without gaps.
//
// ParseManifest believes nothing: (1) at most limits.manifest_bytes; (2) JSON of exactly these keys, unknown ones
// ignored; (3) names as ModelData::Add wants them, unique; (4) dtype, role and encoding known; (5) shape × dtype does
// not overflow and equals length (raw); (6) the sum of all decoded sizes at most limits.model_bytes. The first rule
// that fails is the error, naming source and tensor. Nothing is allocated for values before all of them hold.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_stream.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/result.h"
#include "model/model_data.h"

namespace fed_learn {

enum class Encoding { kRaw, kZeros };

struct ManifestEntry {
  std::string name;
  Role role = Role::kParameter;
  DType dtype = DType::kF32;
  Shape shape;
  Encoding encoding = Encoding::kRaw;
  std::uint64_t length = 0;  // bytes that travel
  ContentHash hash;          // of the decoded bytes; all zero if `sha256` is there
  std::optional<std::array<std::uint8_t, 32>> sha256;
};

struct Manifest {
  std::vector<ManifestEntry> tensors;
  std::uint64_t decoded_size() const;  // bytes of all values
};

struct PackageLimits {
  std::uint64_t manifest_bytes = 64ull << 20;
  std::uint64_t model_bytes = 1ull << 40;
};

// Hashes every tensor and finds those that are all zero bytes. Reads each byte once.
Manifest DescribeModel(const ModelData& model);

// Deterministic: the same manifest gives the same bytes.
std::string EncodeManifest(const Manifest& manifest);
Result<Manifest> ParseManifest(std::string_view text, std::string_view source, const PackageLimits& limits = {});

// The name of a model: hex of the XXH3-128 of its encoded manifest.
std::string ModelIdOf(std::string_view encoded_manifest);

// Indices of tensors in manifest order, ascending. As text "0-3,7"; "" for none.
using Selection = std::vector<std::size_t>;
std::string FormatSelection(const Selection& selection);
// InvalidArgument for anything but ascending, non-overlapping ranges below `count`.
Result<Selection> ParseSelection(std::string_view text, std::size_t count);

// An encoded model that is sent to any number of peers: model, manifest and id, immutable.
struct EncodedModel {
  ModelData model;
  Manifest manifest;
  std::string manifest_text;
  std::string id;
};
std::shared_ptr<const EncodedModel> EncodeModel(ModelData model);

// The bytes of some tensors of a model, one after another, straight from the tensors.
// REQUIRES: a selection of `encoded`. Tensors of encoding zeros contribute no bytes.
std::shared_ptr<const ByteSource> SendTensors(std::shared_ptr<const EncodedModel> encoded, const Selection& selection);

// The bytes of the model's package file, straight from the tensors.
std::shared_ptr<const ByteSource> SendPackage(std::shared_ptr<const EncodedModel> encoded);

// Memory for received tensors, kept for the next model instead of given back to the system: touching fresh pages costs
// more than the transfer. Thread-safe.
class BufferPool {
 public:
  // Bytes at a 64-byte boundary, contents undefined; they return to the pool when the last owner lets go (the pool
  // itself may be gone by then). At most `idle_bytes_max` wait unused.
  explicit BufferPool(std::uint64_t idle_bytes_max = 1ull << 30);
  std::shared_ptr<std::byte[]> Take(std::uint64_t bytes);
  std::uint64_t idle_bytes() const;

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

// Receives a model of which only what is lacking travels. Tensors are verified against their hash as they fill.
class ModelReceiver : public ByteSink {
 public:
  // `have` finds a tensor by content hash among what is here already; may be empty.
  // Allocates from `pool` (when the first byte is expected, not before) only what is lacking.
  using Lookup = std::function<std::optional<Tensor>(const ManifestEntry&)>;
  ModelReceiver(Manifest manifest, const Lookup& have, std::shared_ptr<BufferPool> pool);
  ~ModelReceiver() override;

  const Selection& lacking() const;  // what must travel, in this order
  std::uint64_t lacking_bytes() const;

  Status Expect(std::uint64_t total) override;  // InvalidArgument if total is not lacking_bytes()
  std::uint64_t offset() const override;
  std::span<std::byte> Space() override;
  void Advance(std::size_t bytes) override;

  // The whole model. REQUIRES: offset() is lacking_bytes().
  // DataLoss naming the first tensor whose bytes are not what its hash says.
  Result<ModelData> Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A lookup among the tensors of a model that is here.
ModelReceiver::Lookup TensorsOf(std::shared_ptr<const EncodedModel> encoded);

// The file form. Writing is atomic; reading streams, at most one tensor ahead. Reading refuses, with the path named,
// what is no package or has a manifest that ParseManifest refuses (InvalidArgument), more than the limits
// (ResourceExhausted), and more or fewer bytes than the manifest says or others than its hashes say (DataLoss).
Status WritePackage(Disk& disk, std::string_view path, const EncodedModel& encoded);
Result<std::shared_ptr<const EncodedModel>> ReadPackage(File& file, const PackageLimits& limits = {});
Result<std::shared_ptr<const EncodedModel>> ReadPackage(Disk& disk, std::string_view path,
                                                        const PackageLimits& limits = {});

}  // namespace fed_learn
