#include "aggregation/exact_values.h"

#include <algorithm>

namespace fed_learn {
namespace {

bool IsZero(const Tensor& tensor) {
  if (IsFloat(tensor.dtype())) {  // -0 has a bit set
    const auto elements = static_cast<std::size_t>(tensor.elements());
    return BestKernels().For(tensor.dtype()).max_magnitude_bits(tensor.bytes().data(), elements) == 0;
  }
  return std::ranges::all_of(tensor.bytes(), [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

Status ExactValues::Begin(const Tensor& start, UpdateKind kind) {
  start_ = start;
  kind_ = kind;
  return {};
}

Status ExactValues::Stage(const Tensor& update, const Weight& /*weight*/) {
  if (kind_ == UpdateKind::kDifference ? IsZero(update) : std::ranges::equal(update.bytes(), start_.bytes())) return {};
  return InvalidArgument("its values differ from the starting model's, which the rule \"exact\" forbids");
}

void ExactValues::Commit(const Tensor& /*update*/, const Weight& /*weight*/) {}
void ExactValues::Undo(const Tensor& /*update*/, const Weight& /*weight*/) {}

Result<Tensor> ExactValues::Finish(const StepFunction& /*step*/) { return std::exchange(start_, Tensor()); }

}  // namespace fed_learn
