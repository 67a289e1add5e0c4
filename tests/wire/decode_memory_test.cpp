// What a decoder takes of memory before it has judged: so many bytes for each that came, whatever
// the lengths in it promise. Counts operator new in the whole program.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "tests/wire/catalogue.hpp"
#include "tests/wire/random_message.hpp"

namespace {
std::size_t asked_bytes = 0;
std::size_t held_bytes = 0, held_most = 0;
}  // namespace

void* operator new(std::size_t size) {
  asked_bytes += size;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  held_bytes += malloc_usable_size(memory);
  held_most = std::max(held_most, held_bytes);
  return memory;
}
void operator delete(void* memory) noexcept {
  held_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace longhaul::wire {
namespace {

// All that is asked for while decoding, what is let go again included: a list that grows asks for
// twice its size, and an empty entry is larger here than on the wire. The most seen is 10.
constexpr std::size_t kPerByte = 16;
constexpr std::size_t kBesides = 4096;  // an error's words

template <class T>
void expect_little_memory(Bytes bytes) {
  const std::size_t before = asked_bytes;
  {
    const auto decoded = decode<T>(bytes);
    static_cast<void>(decoded);
  }
  const std::size_t asked = asked_bytes - before;
  ASSERT_LE(asked, kPerByte * bytes.size() + kBesides)
      << type_name<T>() << ", " << bytes.size() << " bytes";
}

// Lengths of 2^14-1, 2^28-1, 2^35-1 and 2^63-1, as a peer would write them.
constexpr std::array<std::string_view, 4> kPromises = {"ff7f", "ffffff7f", "ffffffff7f",
                                                       "ffffffffffffffff7f"};

TEST(DecodeMemory, D1IsBoundedByWhatCame) {
  Rng rng(1, "messages");
  each_documented([&]<class T>() {
    for (int i = 0; i < 40; ++i) {
      const ByteVector good = encode(some<T>(rng));
      expect_little_memory<T>(good);
      for (int cut = 0; cut < 20; ++cut)
        expect_little_memory<T>(Bytes(good).first(rng.below(good.size() + 1)));
      for (int change = 0; change < 40 && !good.empty(); ++change) {
        const std::size_t at = rng.below(good.size());
        ByteVector bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(at));
        append(bad, from_hex(kPromises[rng.below(kPromises.size())]).value());
        const ByteVector beginning = bad;
        append(bad, Bytes(good).subspan(at + 1));
        expect_little_memory<T>(bad);
        bad = beginning;
        bad.resize(bad.size() + 20'000);  // as many empty lines as fit
        expect_little_memory<T>(bad);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

// Twice what came and a fixed cap holds for the largest message that a decoder is given: one of the
// session's, or a segment, which is refused by its size before. The cap is what its lists may be
// here beyond their bytes: an empty record of 8 bytes takes 120, a hole of 2 takes 48.
constexpr std::size_t kLargest = 4U << 20;  // session::kMessageMax
constexpr std::size_t kLargestSegment = 2 * kSegmentBytesMax;
constexpr std::size_t kFixedCap = 24U << 20;

template <class T>
void expect_bounded(Bytes bytes) {
  const std::size_t before = held_most = held_bytes;
  static_cast<void>(decode<T>(bytes));
  ASSERT_LE(held_most - before, 2 * bytes.size() + kFixedCap) << type_name<T>();
}

TEST(DecodeMemory, D1OfTheLargestMessageIsTwiceItsBytesAndAFixedCap) {
  Rng rng(2, "messages");
  each_documented([&]<class T>() {
    for (int i = 0; i < 20; ++i) {
      const ByteVector good = encode(some<T>(rng));
      if (good.empty()) return;
      ByteVector bad(good.begin(),
                     good.begin() + static_cast<std::ptrdiff_t>(rng.below(good.size())));
      append(bad, from_hex(kPromises[rng.below(kPromises.size())]).value());
      const bool in_segment = std::is_same_v<T, Segment> || std::is_same_v<T, Record>;
      bad.resize(in_segment ? kLargestSegment : kLargest);  // as many empty entries as fit
      expect_bounded<T>(bad);
      if (testing::Test::HasFatalFailure()) return;
    }
  });
  Segment holes;  // 2 bytes each
  while (holes.records.size() < kLargestSegment / (2 * kSegmentPiecesMax) - 1) {
    Record record;
    record.pieces.assign(kSegmentPiecesMax, Hole{0});
    holes.records.push_back(record);
  }
  expect_bounded<TransferMessage>(encode(TransferMessage(holes)));
  Segment empty;  // 8 bytes each
  empty.records.assign(kSegmentRecordsMax, Record());
  expect_bounded<TransferMessage>(encode(TransferMessage(empty)));
}

}  // namespace
}  // namespace longhaul::wire
