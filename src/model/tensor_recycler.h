// TensorRecycler: memory for tensors of one size that come and go, such as a model a round. A tensor's memory serves
// the next one once its last owner has let go: its pages are there, and to touch new ones costs more than to fill them.
#pragma once

#include <memory>

#include "model/tensor.h"

namespace fed_learn {

// Keeps one tensor's memory at most. Not thread-safe, but its tensors may be let go on any thread, also after it.
class TensorRecycler {
 public:
  TensorRecycler();

  // As Tensor::Allocate.
  Tensor Allocate(DType dtype, Shape shape);

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace fed_learn
