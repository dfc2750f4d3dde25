// ByteSource and ByteSink: bulk bytes on their way out of memory and into it, without a copy in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace fed_learn {

// Immutable bytes. Safe to read from several threads at once, so one source serves all sites.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;

  // The contiguous piece that begins at `offset`, as long as there is one; empty only at the end.
  virtual std::span<const std::byte> At(std::uint64_t offset) const = 0;
};

// Where bytes go, in order. Used by one connection at a time; after a break the next one goes on at offset().
class ByteSink {
 public:
  virtual ~ByteSink() = default;

  // Called before the first byte and again at each resumption, with the total that the sender announced. Refuses, with
  // nothing allocated, a total that is not the expected one or is over a limit.
  virtual Status Expect(std::uint64_t total) = 0;

  virtual std::uint64_t offset() const = 0;    // bytes received so far
  virtual std::span<std::byte> Space() = 0;    // where the next bytes go; empty when all have come
  virtual void Advance(std::size_t bytes) = 0;  // that many bytes of Space() have been filled
};

// A source over text that it owns.
class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  std::uint64_t size() const override { return text_.size(); }
  std::span<const std::byte> At(std::uint64_t offset) const override {
    return std::as_bytes(std::span<const char>(text_)).subspan(offset);
  }

 private:
  std::string text_;
};

// A sink that grows to what was announced, up to a limit.
class TextSink : public ByteSink {
 public:
  explicit TextSink(std::uint64_t size_max) : size_max_(size_max) {}
  Status Expect(std::uint64_t total) override {
    if (total > size_max_) {
      return InvalidArgument("a body of " + std::to_string(total) + " bytes; at most " + std::to_string(size_max_) +
                             " are taken here");
    }
    text_.resize(total);
    return {};
  }
  std::uint64_t offset() const override { return offset_; }
  std::span<std::byte> Space() override {
    return std::as_writable_bytes(std::span<char>(text_)).subspan(offset_);
  }
  void Advance(std::size_t bytes) override { offset_ += bytes; }
  std::string Take() && { return std::move(text_); }
  const std::string& text() const { return text_; }

 private:
  std::uint64_t size_max_;
  std::string text_;
  std::uint64_t offset_ = 0;
};

}  // namespace fed_learn
