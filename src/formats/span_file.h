// SpanFile: a read-only File over bytes that are in memory, for tests and fuzzing.
//
// Used from one thread at a time; the bytes outlive it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/disk.h"

namespace fed_learn {

class SpanFile : public File {
 public:
  explicit SpanFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Status ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return DataLoss("the file ends before");
    std::ranges::copy(bytes_.subspan(static_cast<std::size_t>(offset), out.size()), out.begin());
    return {};
  }
  Result<std::uint64_t> Size() override { return bytes_.size(); }

  // FailedPrecondition: these bytes belong to somebody else.
  Status WriteAt(std::uint64_t, std::span<const std::byte>) override { return ReadOnly(); }
  Status Truncate(std::uint64_t) override { return ReadOnly(); }
  Status Sync() override { return {}; }

 private:
  static Error ReadOnly() { return FailedPrecondition("the file is read-only"); }

  std::span<const std::byte> bytes_;
};

}  // namespace fed_learn
