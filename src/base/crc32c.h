// The table-driven CRC-32C, for processors without an instruction for it. Call Crc32c of base/hash.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fed_learn {

// What Crc32c gives, on any processor. Safe from any thread.
std::uint32_t Crc32cByTable(std::span<const std::byte> bytes, std::uint32_t crc = 0);

}  // namespace fed_learn
