// Reproducible random numbers: the same on every machine, compiler and thread count, unlike <random>'s distributions.
//
// Random is xoshiro256++ (Blackman and Vigna, 2019) seeded through splitmix64. Not for keys or privacy noise: those
// come from OpenSSL. Not thread-safe; fork one per task by DeriveSeed.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fed_learn {

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t Next();

  // Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint64_t Below(std::uint64_t bound);

  // Uniform in [0, 1), 53 bits.
  double Uniform();

  // Standard normal (Box and Muller; two calls of Uniform each).
  double Normal();

  bool Chance(double probability) { return Uniform() < probability; }

 private:
  std::array<std::uint64_t, 4> state_;
};

// A seed for one purpose, from the seed of the whole: DeriveSeed(seed, "site_1", round).
std::uint64_t DeriveSeed(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

}  // namespace fed_learn
