#include "trainers/batch_stream.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace fed_learn {

BatchStream::BatchStream(std::size_t rows, std::size_t batch_size, std::uint64_t seed, std::uint64_t first_step)
    : batch_size_(batch_size),
      seed_(seed),
      step_(first_step),
      batches_per_epoch_((rows + batch_size - 1) / batch_size),
      order_(rows) {
  Shuffle(step_ / batches_per_epoch_);
}

std::span<const std::size_t> BatchStream::Next() {
  const std::size_t begin = static_cast<std::size_t>(step_ % batches_per_epoch_) * batch_size_;
  if (begin == 0) Shuffle(step_ / batches_per_epoch_);
  ++step_;
  return std::span<const std::size_t>(order_).subspan(begin, std::min(batch_size_, order_.size() - begin));
}

void BatchStream::Shuffle(std::uint64_t epoch) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  Random random(DeriveSeed(seed_, "epoch", epoch));
  for (std::size_t left = order_.size(); left > 1; --left) {
    std::swap(order_[left - 1], order_[random.Below(left)]);
  }
}

}  // namespace fed_learn
