// What hostile input may cost: each case runs in a process that may map 24 MiB more than it starts
// with, which is the promised length, as much again for planes, and libzstd's own tables.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

#include "compression/codec.hpp"
#include "compression/dictionary.hpp"
#include "compression/safetensors.hpp"
#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kAllowedBytes = 24U << 20;
constexpr std::size_t kPromised = 4U << 20;

void limit_memory() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages;
  const std::size_t now = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const rlimit limit{now + kAllowedBytes, now + kAllowedBytes};
  ASSERT(::setrlimit(RLIMIT_AS, &limit) == 0);
}

// Runs `work` in a child under the limit; it must come back by itself.
void expect_little_memory(const std::function<void()>& work) {
  EXPECT_EXIT(
      {
        limit_memory();
        work();
        ::_exit(0);
      },
      testing::ExitedWithCode(0), "");
}

ByteVector frame_claiming(std::uint64_t size, unsigned window) {
  ByteVector frame = from_hex("28b52ffdc0").value();  // window byte, 8-byte size
  frame.push_back(static_cast<std::byte>(window));
  ByteVector claimed(8);
  store_le(claimed, size);
  append(frame, claimed);
  append(frame, from_hex("010000").value());  // the last block: raw, empty
  return frame;
}

class HostileMemory : public testing::Test {
 protected:
  void SetUp() override {
    // Shadow memory makes a limit on address space meaningless there; the decoders themselves run
    // under sanitizers in the other tests and the fuzzers.
    if (kSanitized) GTEST_SKIP() << "address space cannot be limited under a sanitizer";
  }
};

TEST_F(HostileMemory, LimitIsReal) {
  EXPECT_EXIT(
      {
        limit_memory();
        try {
          const ByteVector much(2 * kAllowedBytes);
          ::_exit(much.empty() ? 1 : 2);
        } catch (const std::bad_alloc&) {
          ::_exit(0);
        }
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(HostileMemory, FramesThatClaimMuchCostNothing) {
  expect_little_memory([] {
    ByteVector out(kPromised);
    for (const std::uint64_t size :
         {std::uint64_t{1} << 31, std::uint64_t{1} << 40, ~std::uint64_t{0}})
      for (const unsigned window : {0x00U, 0x70U, 0xa8U, 0xffU})
        ASSERT(!Decoder().decode(Codec::kZstd, frame_claiming(size, window), {}, out));
    for (const unsigned window :
         {0x70U, 0xa8U, 0xffU})  // the promised size, and too little behind it
      ASSERT(!Decoder().decode(Codec::kZstd, frame_claiming(kPromised, window), {}, out));
  });
}

TEST_F(HostileMemory, ARealBombStopsAtThePromise) {
  const ByteVector zeros(kMaxBlockBytes);  // encodes 10,000 to 1
  ByteVector body(encoded_bound(Codec::kZstd, zeros.size()));
  body.resize(Encoder().encode(Codec::kZstd, zeros, {}, body).value());
  ASSERT_LT(body.size(), zeros.size() / 5000);
  expect_little_memory([&] {
    ByteVector out(kPromised);
    ASSERT(!Decoder().decode(Codec::kZstd, body, {}, out));
    ByteVector plane(4);
    store_le(plane, static_cast<std::uint32_t>(body.size()));
    append(plane, body);
    ByteVector planes = plane;
    append(planes, plane);
    ASSERT(!Decoder().decode(Codec::kPlanes2Zstd, planes, {}, out));
  });
}

TEST_F(HostileMemory, DictionariesAndHeadersCostTheirBoundAtMost) {
  expect_little_memory([] {
    const ByteVector noise = random_bytes(kMaxDictionaryBytes, 1);
    ByteVector fake =
        from_hex("37a430ec01000000").value();  // the magic of a dictionary, its number
    append(fake, Bytes(noise).first(kMaxDictionaryBytes - fake.size()));
    ASSERT(!Dictionary::make(fake, {}));
    ByteVector header(8);
    store_le(header, std::uint64_t{1} << 62);
    ASSERT(!safetensors_header_bytes(header, std::uint64_t{1} << 63));
    std::string nested = "{\"a\":";
    for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
    ASSERT(!parse_safetensors(bytes_of(nested), 1U << 20));
  });
}

}  // namespace
}  // namespace longhaul::compression
