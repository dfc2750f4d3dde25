// Large blocks of fresh memory, made cheaper to touch.
#pragma once

#include <cstddef>

namespace fed_learn {

// Asks the system for huge pages where `bytes` at `memory` are many, so that the first touch faults once every 2 MB
// instead of every 4 kB; it may cost up to 4 MB more at the edges. Advice only: without effect where it cannot be had.
// Safe from any thread.
void PreferHugePages(void* memory, std::size_t bytes);

}  // namespace fed_learn
