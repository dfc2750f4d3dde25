#include "model/tensor_recycler.h"

#include <mutex>
#include <utility>

namespace fed_learn {

struct TensorRecycler::Shelf {
  std::mutex mutex;
  Tensor kept;  // bytes of any type
};

TensorRecycler::TensorRecycler() : shelf_(std::make_shared<Shelf>()) {}

Tensor TensorRecycler::Allocate(DType dtype, Shape shape) {
  const std::int64_t size = ElementsOf(shape).value() * static_cast<std::int64_t>(SizeOf(dtype));
  Tensor memory;
  {
    const std::lock_guard lock(shelf_->mutex);
    memory = std::exchange(shelf_->kept, Tensor());
  }
  if (memory.shape() != Shape{size}) memory = Tensor::Allocate(DType::kU8, {size});
  const auto bytes = memory.bytes();
  const std::shared_ptr<const void> owner(
      bytes.data(), [memory = std::move(memory), shelf = std::weak_ptr<Shelf>(shelf_)](const void*) mutable {
        const auto open = shelf.lock();
        if (open == nullptr) return;
        const std::lock_guard lock(open->mutex);
        std::swap(open->kept, memory);
      });
  return Tensor::View(dtype, std::move(shape), owner, bytes);
}

}  // namespace fed_learn
