#include "model/large_memory.h"

#include <sys/mman.h>

#include <cstdint>

namespace fed_learn {

void PreferHugePages(void* memory, std::size_t bytes) {
  constexpr std::size_t large_bytes = 8 << 20;
  constexpr std::uintptr_t page_bytes = 4096;
  if (bytes < large_bytes) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page_bytes - 1) / page_bytes * page_bytes;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page_bytes * page_bytes;
  // Advice that is not taken changes nothing but speed.
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
}

}  // namespace fed_learn
