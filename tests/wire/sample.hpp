// A message with every kind of field, and tools that damage its bytes, for the codec's tests.
#pragma once

#include <functional>

#include "lib/wire/codec.hpp"

namespace longhaul::wire {

using SampleId = Id<struct SampleTag, std::uint32_t>;
enum class Colour : std::uint8_t { kRed = 0, kGreen = 1, kBlue = 7 };
constexpr auto wire_values(Colour) {
  return std::array{Known{Colour::kRed, "red"}, Known{Colour::kGreen, "green"},
                    Known{Colour::kBlue, "blue"}};
}

struct Inner {
  std::uint16_t port = 0;
  Text<8> name;
  bool operator==(const Inner&) const = default;
  template <class F>
  static void fields(F& f) {
    f(&Inner::port, "port");
    f(&Inner::name, "name", "what people call it");
  }
};

struct Sample {
  std::uint8_t small = 0;
  std::uint64_t large = 0;
  std::int64_t change = 0;
  bool flag = false;
  double ratio = 0;
  Colour colour = Colour::kRed;
  SampleId id;
  ByteCount volume;
  Duration wait{};
  WallTime stamp;
  Fixed<std::uint32_t> magic;
  crypto::Digest digest;
  std::array<std::byte, 4> raw{};
  Text<20> text;
  Blob<20> blob;
  Payload<20> payload;
  Bitmap<40> bitmap;
  std::optional<Inner> maybe;
  std::variant<Inner, std::uint32_t> either;
  List<Inner, 5> list;
  Map<Text<4>, std::uint64_t, 6> map;
  bool operator==(const Sample&) const = default;
  template <class F>
  static void fields(F& f) {
    f(&Sample::small, "small");
    f(&Sample::large, "large");
    f(&Sample::change, "change");
    f(&Sample::flag, "flag");
    f(&Sample::ratio, "ratio");
    f(&Sample::colour, "colour");
    f(&Sample::id, "id");
    f(&Sample::volume, "volume");
    f(&Sample::wait, "wait");
    f(&Sample::stamp, "stamp");
    f(&Sample::magic, "magic");
    f(&Sample::digest, "digest");
    f(&Sample::raw, "raw");
    f(&Sample::text, "text");
    f(&Sample::blob, "blob");
    f(&Sample::payload, "payload");
    f(&Sample::bitmap, "bitmap");
    f(&Sample::maybe, "maybe");
    f(&Sample::either, "either");
    f(&Sample::list, "list");
    f(&Sample::map, "map");
  }
};

inline Sample full_sample() {
  Sample s;
  s.small = 200;
  s.large = 1'000'000;
  s.change = -3;
  s.flag = true;
  s.ratio = 0.5;
  s.colour = Colour::kBlue;
  s.id = SampleId(300);
  s.volume = ByteCount(1) + 64_KiB;
  s.wait = 158ms;
  s.stamp = WallTime{1'700'000'000'000'000'000};
  s.magic.value = 0xdeadbeef;
  s.digest = crypto::sha256("abc");
  s.raw = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  s.text = "asuncion";
  s.blob = Blob<20>(3, std::byte{9});
  s.payload = Slice::copy_of("weights");
  s.bitmap = Bitmap<40>(11);
  s.bitmap.set(0);
  s.bitmap.set(10);
  s.maybe = Inner{443, "tls"};
  s.either = std::uint32_t{5};
  s.list = {Inner{1, "a"}, Inner{2, ""}};
  s.map.emplace("lr", 3U);
  s.map.emplace("a", 70'000U);
  return s;
}

}  // namespace longhaul::wire
