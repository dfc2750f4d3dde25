#include "base/random.h"

#include <cassert>
#include <cmath>
#include <numbers>

namespace fed_learn {
namespace {

constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15u;

std::uint64_t RotateLeft(std::uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

// The finalizer of splitmix64.
std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The C library's log and cos differ in the last bit between versions and processors; these use only operations that
// IEEE 754 rounds exactly, so Normal() gives the same bits everywhere.

// REQUIRES: 0 < x.
double PortableLog(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < std::numbers::sqrt2 / 2) {
    mantissa *= 2;
    --exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  double series = 0;
  for (int n = 21; n >= 1; n -= 2) series = series * s2 + 1.0 / n;
  return exponent * std::numbers::ln2 + 2 * s * series;
}

// cos(2 pi turn). REQUIRES: 0 <= turn < 1.
double PortableCosOfTurn(double turn) {
  const double eighths = turn * 8;
  const int quarter = static_cast<int>((eighths + 1) / 2);
  const double angle = (eighths - 2 * quarter) * (std::numbers::pi / 4);
  const double a2 = angle * angle;
  double cosine = 0;
  for (int n = 18; n >= 2; n -= 2) cosine = (cosine + 1) * -a2 / (n * (n - 1));
  double sine = 0;
  for (int n = 19; n >= 3; n -= 2) sine = (sine + 1) * -a2 / (n * (n - 1));
  cosine += 1;
  sine = (sine + 1) * angle;
  switch (quarter % 4) {
    case 0:
      return cosine;
    case 1:
      return -sine;
    case 2:
      return -cosine;
    default:
      return sine;
  }
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = Mix(seed += kGoldenRatio);
}

std::uint64_t Random::Next() {
  const std::uint64_t result = RotateLeft(state_[0] + state_[3], 23) + state_[0];
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = RotateLeft(state_[3], 45);
  return result;
}

std::uint64_t Random::Below(std::uint64_t bound) {
  assert(bound > 0);
  // Below this, 2^64 modulo bound, a value would make some remainders likelier than others.
  const std::uint64_t rejected = (0 - bound) % bound;
  while (true) {
    const std::uint64_t value = Next();
    if (value >= rejected) return value % bound;
  }
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

double Random::Normal() {
  const double radius = std::sqrt(-2 * PortableLog(1 - Uniform()));
  return radius * PortableCosOfTurn(Uniform());
}

std::uint64_t DeriveSeed(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  std::uint64_t state = Mix(seed + kGoldenRatio);
  for (const char c : purpose) state = Mix(state ^ static_cast<unsigned char>(c)) + kGoldenRatio;
  return Mix(Mix(state ^ purpose.size()) + index * kGoldenRatio);
}

}  // namespace fed_learn
