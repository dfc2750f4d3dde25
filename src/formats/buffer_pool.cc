// The BufferPool of package.h.
#include <bit>
#include <list>
#include <mutex>
#include <new>

#include "formats/package.h"
#include "model/large_memory.h"

namespace fed_learn {
namespace {

constexpr std::align_val_t kAlignment{64};

// Eight classes between a power of two and the next, so that at most an eighth of a slab is never used and models of
// nearly one size share their slabs.
std::uint64_t SizeClass(std::uint64_t bytes) {
  constexpr std::uint64_t smallest = 4096;
  if (bytes <= smallest) return smallest;
  const std::uint64_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

struct Free {
  void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
};
using Slab = std::unique_ptr<std::byte, Free>;

}  // namespace

struct BufferPool::Shelf {
  struct Idle {
    std::uint64_t size;
    Slab slab;
  };

  explicit Shelf(std::uint64_t bytes_max) : idle_bytes_max(bytes_max) {}

  Slab Take(std::uint64_t size) {
    const std::lock_guard lock(mutex);
    // The youngest first: its pages are the likeliest to be in the cache.
    for (auto idle = slabs.rbegin(); idle != slabs.rend(); ++idle) {
      if (idle->size != size) continue;
      Slab slab = std::move(idle->slab);
      idle_bytes -= size;
      slabs.erase(std::next(idle).base());
      return slab;
    }
    return nullptr;
  }

  // Slabs of sizes that nobody asks for any more grow old and are the first to go.
  void Return(std::uint64_t size, Slab slab) {
    std::list<Idle> given_back;  // freed after the lock is let go
    const std::lock_guard lock(mutex);
    slabs.push_back({size, std::move(slab)});
    idle_bytes += size;
    while (idle_bytes > idle_bytes_max) {
      idle_bytes -= slabs.front().size;
      given_back.splice(given_back.end(), slabs, slabs.begin());
    }
  }

  const std::uint64_t idle_bytes_max;
  std::mutex mutex;
  std::list<Idle> slabs;  // in the order of their return
  std::uint64_t idle_bytes = 0;
};

BufferPool::BufferPool(std::uint64_t idle_bytes_max) : shelf_(std::make_shared<Shelf>(idle_bytes_max)) {}

std::shared_ptr<std::byte[]> BufferPool::Take(std::uint64_t bytes) {
  const std::uint64_t size = SizeClass(bytes);
  Slab slab = shelf_->Take(size);
  if (slab == nullptr) {
    slab.reset(static_cast<std::byte*>(::operator new(size, kAlignment)));
    PreferHugePages(slab.get(), size);
  }
  const auto give_back = [size, shelf = std::weak_ptr<Shelf>(shelf_)](std::byte* raw) {
    Slab returned(raw);
    if (const auto open = shelf.lock()) open->Return(size, std::move(returned));
  };
  return std::shared_ptr<std::byte[]>(slab.release(), give_back);
}

std::uint64_t BufferPool::idle_bytes() const {
  const std::lock_guard lock(shelf_->mutex);
  return shelf_->idle_bytes;
}

}  // namespace fed_learn
