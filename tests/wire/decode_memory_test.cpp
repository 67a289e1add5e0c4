// What a decoder takes of memory before it has judged: so many bytes for each that came, whatever
// the lengths in it promise. Counts operator new in the whole program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/wire/catalogue.hpp"
#include "tests/wire/random_message.hpp"

namespace {
std::size_t asked_bytes = 0;
}

void* operator new(std::size_t size) {
  asked_bytes += size;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
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

}  // namespace
}  // namespace longhaul::wire
