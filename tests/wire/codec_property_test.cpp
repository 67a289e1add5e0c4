#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/wire/damage.hpp"
#include "tests/wire/sample.hpp"

namespace longhaul::wire {
namespace {

std::string some_text(std::size_t max) {
  const auto size = *rc::gen::inRange<std::size_t>(0, max + 1);
  return *rc::gen::container<std::string>(size, rc::gen::arbitrary<char>());
}
Inner some_inner() {
  return Inner{*rc::gen::arbitrary<std::uint16_t>(), some_text(8)};
}

Sample some_sample() {
  Sample s;
  s.small = *rc::gen::arbitrary<std::uint8_t>();
  s.large = *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange(0, 64);
  s.change = *rc::gen::arbitrary<std::int64_t>();
  s.flag = *rc::gen::arbitrary<bool>();
  s.ratio = *rc::gen::arbitrary<double>();
  s.colour = *rc::gen::element(Colour::kRed, Colour::kGreen, Colour::kBlue);
  s.id = SampleId(*rc::gen::arbitrary<std::uint32_t>());
  s.volume = ByteCount(*rc::gen::arbitrary<std::uint64_t>());
  s.wait = Duration(*rc::gen::arbitrary<std::int64_t>());
  s.stamp = WallTime{*rc::gen::arbitrary<std::int64_t>()};
  s.magic.value = *rc::gen::arbitrary<std::uint32_t>();
  s.digest = crypto::sha256(some_text(9));
  s.text = some_text(20);
  s.payload = Slice::copy_of(some_text(20));
  s.blob = Blob<20>(*rc::gen::inRange<std::size_t>(0, 21), std::byte{7});
  const auto bits = *rc::gen::inRange<std::size_t>(0, 41);
  s.bitmap = Bitmap<40>(bits);
  for (std::size_t i = 0; i < bits; ++i) s.bitmap.set(i, *rc::gen::arbitrary<bool>());
  if (*rc::gen::arbitrary<bool>()) s.maybe = some_inner();
  if (*rc::gen::arbitrary<bool>()) s.either = *rc::gen::arbitrary<std::uint32_t>();
  const auto items = *rc::gen::inRange<std::size_t>(0, 6);
  for (std::size_t i = 0; i < items; ++i) s.list.push_back(some_inner());
  const auto keys = *rc::gen::inRange<std::size_t>(0, 7);
  for (std::size_t i = 0; i < keys; ++i) s.map[some_text(4)] = *rc::gen::arbitrary<std::uint64_t>();
  return s;
}

TEST(CodecProperty, AnySampleComesBackEqual) {
  EXPECT_TRUE(rc::check("round trip", [] {
    const Sample sample = some_sample();
    const auto back = decode<Sample>(encode(sample));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == sample);
  }));
}

TEST(CodecProperty, AnyBytesAreRefusedOrCanonical) {
  EXPECT_TRUE(rc::check("arbitrary bytes", [] {
    const auto raw = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    expect_refused_or_canonical<Sample>(std::as_bytes(std::span(raw)));
  }));
}

TEST(CodecProperty, ASplicedSampleIsRefusedOrCanonical) {
  EXPECT_TRUE(rc::check("two samples cut and joined", [] {
    const ByteVector a = encode(some_sample()), b = encode(some_sample());
    ByteVector spliced(a.begin(), a.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(a)));
    append(spliced, Bytes(b).subspan(*rc::gen::inRange<std::size_t>(0, b.size())));
    expect_refused_or_canonical<Sample>(spliced);
  }));
}

}  // namespace
}  // namespace longhaul::wire
