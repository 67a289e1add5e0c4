#include "lib/base/rng.hpp"

#include <bit>

namespace longhaul {
namespace {

std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace

Rng::Rng(std::uint64_t seed, std::string_view stream) : key_(seed) {
  if (!stream.empty()) {
    key_ ^= fnv1a(stream);
    key_ = split_mix(key_);
  }
  std::uint64_t mix = key_;
  for (auto& word : state_) word = split_mix(mix);
}

Rng Rng::stream(std::string_view name) const {
  return Rng(key_, name.empty() ? "." : name);
}

std::uint64_t Rng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  ASSERT(bound > 0);
  const std::uint64_t biased = (0 - bound) % bound;  // draws below this would favour small results
  for (;;) {
    const std::uint64_t draw = next();
    if (draw >= biased) return draw % bound;
  }
}

std::uint64_t Rng::between(std::uint64_t low, std::uint64_t high) {
  ASSERT(low <= high);
  const std::uint64_t span = high - low + 1;
  return span == 0 ? next() : low + below(span);
}

double Rng::unit() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

bool Rng::chance(double p) {
  return unit() < p;
}

void Rng::fill(MutableBytes out) {
  while (!out.empty()) {
    const std::uint64_t word = next();
    const std::size_t count = out.size() < sizeof word ? out.size() : sizeof word;
    std::memcpy(out.data(), &word, count);
    out = out.subspan(count);
  }
}

}  // namespace longhaul
