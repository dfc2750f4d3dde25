// Any bytes as a package file, a manifest and a selection: refused or read, never believed.
#include <cstdlib>

#include "formats/package.h"
#include "formats/span_file.h"

namespace fed_learn {
namespace {

// Small, so that a manifest of zeros that is right about its sizes costs little memory.
constexpr PackageLimits kLimits{.manifest_bytes = 1 << 20, .model_bytes = 1 << 20};

void Require(bool holds) {
  if (!holds) std::abort();
}

void ReadAsFile(std::span<const std::byte> bytes) {
  SpanFile file(bytes);
  const auto encoded = ReadPackage(file, kLimits);
  if (!encoded.has_value()) return;
  Require((*encoded)->model.size() == (*encoded)->manifest.tensors.size());
  Require((*encoded)->model.byte_size() == (*encoded)->manifest.decoded_size());
}

void ReadAsManifest(std::string_view text) {
  const auto manifest = ParseManifest(text, "fuzz", kLimits);
  if (!manifest.has_value()) return;
  const std::string canonical = EncodeManifest(*manifest);
  Require(EncodeManifest(ParseManifest(canonical, "again", {}).value()) == canonical);
}

void ReadAsSelection(std::string_view text) {
  const auto selection = ParseSelection(text, 1000);
  if (selection.has_value()) Require(ParseSelection(FormatSelection(*selection), 1000).value() == *selection);
}

}  // namespace
}  // namespace fed_learn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fed_learn::ReadAsFile(std::as_bytes(std::span(data, size)));
  fed_learn::ReadAsManifest(text);
  fed_learn::ReadAsSelection(text);
  return 0;
}
