// Small helpers for text that people read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fed_learn {

// "; did you mean 'x'?" for the nearest of `known` within an edit distance of a third of the word; else the list of
// all, shortened; empty if there is none.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& known);

bool IsUtf8(std::string_view text);

// "1.5 GB", "12 kB": decimal units, three significant digits at most.
std::string HumanBytes(std::uint64_t bytes);

// "2 h 5 min", "3.2 s", "40 ms".
std::string HumanSeconds(double seconds);

// Control characters as \n, \t, \x1b; so a foreign string cannot break a line or colour a terminal.
std::string Escaped(std::string_view text);

}  // namespace fed_learn
