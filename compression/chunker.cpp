#include "compression/chunker.hpp"

#include <algorithm>
#include <array>

namespace longhaul::compression {
namespace {

constexpr std::size_t kWindowBytes = 64;  // a 64-bit gear hash has shifted out whatever came before
// Behind this length the easy threshold holds. With 1 in 2^18 before it and 1 in 2^14 behind it,
// random bytes give a mean of 64 KiB, and 3 chunks in a million reach the maximum.
constexpr std::size_t kNormalBytes = 52U << 10;
constexpr std::uint64_t kRareBelow = std::uint64_t{1} << (64 - 18);
constexpr std::uint64_t kEasyBelow = std::uint64_t{1} << (64 - 14);
static_assert(kWindowBytes <= kMinChunkBytes, "a hash must not reach into the chunk before");

using GearTable = std::array<std::uint64_t, 256>;

constexpr GearTable make_gear() {
  GearTable gear{};
  std::uint64_t state = 0x6c6f6e676861756c;  // "longhaul"; any other value moves every cut
  for (std::uint64_t& entry : gear) {        // SplitMix64
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    entry = z ^ (z >> 31);
  }
  return gear;
}
constexpr GearTable make_doubled(GearTable gear) {
  for (std::uint64_t& entry : gear) entry <<= 1;
  return gear;
}
constexpr GearTable kGear = make_gear();
constexpr GearTable kGearDoubled = make_doubled(kGear);
// A run of one byte hashes to -gear: for zeros that must not be a cut, so that holes make few large
// chunks.
static_assert(0 - kGear[0] >= kEasyBelow);

struct Found {
  std::size_t taken;
  bool cut;
};

// Hashes until the hash falls below `below`, two bytes a step: the second hash needs the first
// byte's table entry but not the first hash, which halves the chain of dependent additions.
Found scan(Bytes in, std::uint64_t below, std::uint64_t& hash) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(in.data());
  const std::size_t size = in.size();
  std::uint64_t h = hash;
  std::size_t at = 0;
  constexpr std::size_t kStep = 8;
  for (; size - at >= kStep; at += kStep) {
    const unsigned char* p = bytes + at;
    // Unrolled by hand: g++ 12 at -O2 does not.
    std::uint64_t one = 0;
    std::uint64_t two = h;
    const auto pair = [&](std::size_t i) {
      one = (two << 1) + kGear[p[i]];
      two = (two << 2) + (kGearDoubled[p[i]] + kGear[p[i + 1]]);
    };
    pair(0);
    if (one < below) return hash = one, Found{at + 1, true};
    if (two < below) return hash = two, Found{at + 2, true};
    pair(2);
    if (one < below) return hash = one, Found{at + 3, true};
    if (two < below) return hash = two, Found{at + 4, true};
    pair(4);
    if (one < below) return hash = one, Found{at + 5, true};
    if (two < below) return hash = two, Found{at + 6, true};
    pair(6);
    if (one < below) return hash = one, Found{at + 7, true};
    if (two < below) return hash = two, Found{at + 8, true};
    h = two;
  }
  for (; at < size; ++at) {
    h = (h << 1) + kGear[bytes[at]];
    if (h < below) return hash = h, Found{at + 1, true};
  }
  hash = h;
  return {size, false};
}

}  // namespace

bool Chunker::advance(Bytes more, std::size_t& taken) {
  const auto take_to = [&](std::size_t length) {  // what of `more` brings the chunk up to `length`
    const std::size_t wanted = length > length_ ? length - length_ : 0;
    const Bytes part = more.subspan(taken, std::min(wanted, more.size() - taken));
    taken += part.size();
    length_ += part.size();
    return part;
  };
  taken = 0;
  take_to(kMinChunkBytes - kWindowBytes);  // no cut there and out of any window: not even looked at
  scan(take_to(kMinChunkBytes - 1), 0, hash_);  // nothing is below 0: only warms the window up
  constexpr struct {
    std::size_t end;
    std::uint64_t below;
  } kPhases[] = {{kNormalBytes - 1, kRareBelow}, {kMaxChunkBytes - 1, kEasyBelow}};
  for (const auto& phase : kPhases) {
    const Bytes part = take_to(phase.end);
    const Found found = scan(part, phase.below, hash_);
    if (!found.cut) continue;
    taken -= part.size() - found.taken;
    length_ -= part.size() - found.taken;
    return true;
  }
  take_to(kMaxChunkBytes);
  return length_ == kMaxChunkBytes;
}

void Chunker::feed(Bytes more, std::vector<std::uint64_t>& cuts) {
  while (!more.empty()) {
    std::size_t taken = 0;
    const bool cut = advance(more, taken);
    more = more.subspan(taken);
    if (!cut) continue;
    chunk_start_ += length_;
    length_ = 0;
    hash_ = 0;
    cuts.push_back(chunk_start_);
  }
}

void Chunker::finish(std::vector<std::uint64_t>& cuts) {
  if (length_ > 0) cuts.push_back(offset());
  *this = Chunker();
}

std::vector<std::uint64_t> cut_offsets(Bytes whole) {
  std::vector<std::uint64_t> cuts;
  cuts.reserve(whole.size() / kAverageChunkBytes + 1);
  Chunker chunker;
  chunker.feed(whole, cuts);
  chunker.finish(cuts);
  return cuts;
}

}  // namespace longhaul::compression
