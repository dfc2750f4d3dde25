// BatchStream: an endless row of mini-batches over shuffled epochs, which can be entered at any step.
//
// Every epoch visits each row once in an order of its own; its last batch holds what is left. The order of an epoch
// depends on the seed and its number alone, so a site that begins at the step where the round before ended sees the
// batches it would have seen without a pause, and one that does a round again sees the same ones.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fed_learn {

class BatchStream {
 public:
  // REQUIRES: rows > 0, batch_size > 0.
  BatchStream(std::size_t rows, std::size_t batch_size, std::uint64_t seed, std::uint64_t first_step);

  std::uint64_t batches_per_epoch() const { return batches_per_epoch_; }

  // The rows of the next batch; valid until the next call.
  std::span<const std::size_t> Next();

 private:
  void Shuffle(std::uint64_t epoch);

  std::size_t batch_size_;
  std::uint64_t seed_;
  std::uint64_t step_;
  std::uint64_t batches_per_epoch_;
  std::vector<std::size_t> order_;
};

}  // namespace fed_learn
