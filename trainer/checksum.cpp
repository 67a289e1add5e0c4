#include "trainer/checksum.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kOdd1 = 0x9e3779b97f4a7c15U, kOdd2 = 0xc2b2ae3d27d4eb4fU;

std::uint64_t mix(std::uint64_t lane, std::uint64_t word) {
  return std::rotl(lane ^ (word * kOdd2), 29) * kOdd1;
}
std::uint64_t finish(std::uint64_t x) {
  x ^= x >> 32;
  x *= kOdd2;
  x ^= x >> 29;
  x *= kOdd1;
  return x ^ (x >> 32);
}

}  // namespace

void Checksum::block(const std::byte* at) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, at + 8 * i, 8);
    lanes_[i] = mix(lanes_[i], word);
  }
}

void Checksum::add(Bytes bytes) {
  const std::size_t held = bytes_ % kBlock;
  bytes_ += bytes.size();
  if (held > 0) {
    const std::size_t take = std::min(kBlock - held, bytes.size());
    std::copy_n(bytes.begin(), take, held_.begin() + static_cast<std::ptrdiff_t>(held));
    bytes = bytes.subspan(take);
    if (held + take < kBlock) return;
    block(held_.data());
  }
  for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) block(bytes.data());
  std::copy(bytes.begin(), bytes.end(), held_.begin());
}

std::uint64_t Checksum::value() const {
  Checksum last = *this;  // what is held, padded with zeros; the length tells padding from bytes
  const std::size_t held = bytes_ % kBlock;
  if (held > 0) {
    std::fill(last.held_.begin() + static_cast<std::ptrdiff_t>(held), last.held_.end(),
              std::byte{});
    last.block(last.held_.data());
  }
  std::uint64_t sum = bytes_ * kOdd1;
  for (const std::uint64_t lane : last.lanes_) sum = finish(sum ^ lane);
  return sum;
}

std::uint64_t checksum_of(Bytes bytes) {
  Checksum sum;
  sum.add(bytes);
  return sum.value();
}

}  // namespace longhaul::trainer
