// Handling of what must not leak.
#pragma once

#include <string>
#include <string_view>

namespace fed_learn {

// Takes the same time wherever the difference is; only the lengths show.
bool EqualInConstantTime(std::string_view a, std::string_view b);

// 128 random bits from OpenSSL as hex.
std::string RandomToken();

}  // namespace fed_learn
