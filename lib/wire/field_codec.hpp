// Codec<T>: how one kind of field is put, got, bounded and described. Specialise it for a new kind
// of value only if no combination of these will do: numbers, bool, enum, Id, ByteCount, Duration,
// WallTime, Digest, byte arrays, Text, Blob, Payload, List, Map, Bitmap, Fixed, std::optional,
// std::variant and structs with fields().
#pragma once

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <string>
#include <variant>

#include "lib/base/ids.hpp"
#include "lib/base/units.hpp"
#include "lib/crypto/digest.hpp"
#include "lib/wire/bounded.hpp"
#include "lib/wire/cursor.hpp"

namespace longhaul::wire {

struct SizeRange {
  std::uint64_t least = 0, most = 0;
  SizeRange operator+(SizeRange b) const { return {least + b.least, most + b.most}; }
};

template <class E>
struct Known {  // one value of an enum that may travel
  E value;
  std::string_view name;
};
template <class E, class... More>
Known(E, const char*, More...) -> Known<E>;

// "Want" for longhaul::wire::Want, with g++ and clang.
template <class T>
constexpr std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return text.substr(text.rfind(':') + 1);
}

template <class T>
struct Codec;  // a message: below

template <class T>
concept VarintRep = std::is_unsigned_v<T> && !std::is_same_v<T, bool> && (sizeof(T) > 1);
constexpr std::uint64_t varint_size(std::uint64_t value) {
  return std::max<std::uint64_t>(1, (static_cast<std::uint64_t>(std::bit_width(value)) + 6) / 7);
}

template <VarintRep T>
struct Codec<T> {
  static constexpr std::uint64_t kMax = std::numeric_limits<T>::max();
  static void put(Writer& w, T value) { w.varint(value); }
  static void get(Reader& r, T& value) { value = static_cast<T>(r.varint(kMax)); }
  static SizeRange size() { return {1, varint_size(kMax)}; }
  static std::string type() { return "varint u" + std::to_string(8 * sizeof(T)); }
};

template <>
struct Codec<std::uint8_t> {
  static void put(Writer& w, std::uint8_t value) { w.byte(value); }
  static void get(Reader& r, std::uint8_t& value) { value = r.byte(); }
  static SizeRange size() { return {1, 1}; }
  static std::string type() { return "u8"; }
};

// Zigzag: 0, -1, 1, -2 .. become 0, 1, 2, 3 ..
template <>
struct Codec<std::int64_t> {
  static void put(Writer& w, std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    w.varint((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
  }
  static void get(Reader& r, std::int64_t& value) {
    const std::uint64_t bits = r.varint();
    value = static_cast<std::int64_t>((bits >> 1) ^ ((bits & 1) != 0 ? ~std::uint64_t{0} : 0));
  }
  static SizeRange size() { return {1, kVarintBytesMax}; }
  static std::string type() { return "zigzag i64"; }
};

template <>
struct Codec<bool> {
  static void put(Writer& w, bool value) { w.byte(value ? 1 : 0); }
  static void get(Reader& r, bool& value) {
    const std::uint8_t byte = r.byte();
    if (byte > 1) r.fail(Fault::kUnknownValue);
    value = byte == 1;
  }
  static SizeRange size() { return {1, 1}; }
  static std::string type() { return "bool"; }
};

template <class T>
requires std::is_floating_point_v<T>
struct Codec<T> {  // the bits as they are, so a NaN keeps its payload
  using Rep = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static void put(Writer& w, T value) { w.fixed(std::bit_cast<Rep>(value)); }
  static void get(Reader& r, T& value) { value = std::bit_cast<T>(r.fixed<Rep>()); }
  static SizeRange size() { return {sizeof(T), sizeof(T)}; }
  static std::string type() { return "f" + std::to_string(8 * sizeof(T)); }
};

template <class Int>
struct Codec<Fixed<Int>> {
  static void put(Writer& w, Fixed<Int> v) { w.fixed(v.value); }
  static void get(Reader& r, Fixed<Int>& v) { v.value = r.fixed<Int>(); }
  static SizeRange size() { return {sizeof(Int), sizeof(Int)}; }
  static std::string type() { return "fixed u" + std::to_string(8 * sizeof(Int)); }
};

template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  static_assert(sizeof(T) == 1, "an enum travels as one byte");
  static void put(Writer& w, T value) { w.byte(static_cast<std::uint8_t>(value)); }
  static void get(Reader& r, T& value) {
    const auto raw = static_cast<T>(r.byte());
    for (const auto& known : wire_values(T{})) {
      if (known.value == raw) return void(value = raw);
    }
    r.fail(Fault::kUnknownValue);
  }
  static SizeRange size() { return {1, 1}; }
  static std::string type() {
    std::string text = "enum";
    for (const auto& known : wire_values(T{})) {
      text += ' ' + std::to_string(static_cast<unsigned>(known.value)) + '=';
      text += known.name;
    }
    return text;
  }
};

template <class Tag, class Rep>
struct Codec<Id<Tag, Rep>> {
  static void put(Writer& w, Id<Tag, Rep> id) { Codec<Rep>::put(w, id.value()); }
  static void get(Reader& r, Id<Tag, Rep>& id) {
    Rep raw{};
    Codec<Rep>::get(r, raw);
    id = Id<Tag, Rep>(raw);
  }
  static SizeRange size() { return Codec<Rep>::size(); }
  static std::string type() { return Codec<Rep>::type(); }
};

template <>
struct Codec<ByteCount> {
  static void put(Writer& w, ByteCount n) { w.varint(n.value()); }
  static void get(Reader& r, ByteCount& n) { n = ByteCount(r.varint()); }
  static SizeRange size() { return {1, kVarintBytesMax}; }
  static std::string type() { return "varint u64"; }
};

template <>
struct Codec<Duration> {
  static void put(Writer& w, Duration d) { Codec<std::int64_t>::put(w, d.count()); }
  static void get(Reader& r, Duration& d) {
    std::int64_t ns = 0;
    Codec<std::int64_t>::get(r, ns);
    d = Duration(ns);
  }
  static SizeRange size() { return {1, kVarintBytesMax}; }
  static std::string type() { return "zigzag i64"; }
};

template <>
struct Codec<WallTime> {
  static void put(Writer& w, WallTime t) { w.fixed(static_cast<std::uint64_t>(t.ns)); }
  static void get(Reader& r, WallTime& t) {
    t.ns = static_cast<std::int64_t>(r.fixed<std::uint64_t>());
  }
  static SizeRange size() { return {8, 8}; }
  static std::string type() { return "fixed i64"; }
};

template <std::size_t N>
struct Codec<std::array<std::byte, N>> {
  static void put(Writer& w, const std::array<std::byte, N>& bytes) { w.raw(bytes); }
  static void get(Reader& r, std::array<std::byte, N>& bytes) {
    const Bytes raw = r.raw(N);
    if (!r.failed()) std::copy(raw.begin(), raw.end(), bytes.begin());
  }
  static SizeRange size() { return {N, N}; }
  static std::string type() { return std::to_string(N) + " bytes"; }
};

template <>
struct Codec<crypto::Digest> {
  static void put(Writer& w, const crypto::Digest& digest) { w.raw(digest.bytes()); }
  static void get(Reader& r, crypto::Digest& digest) {
    const Bytes raw = r.raw(crypto::Digest::kSize);
    if (!r.failed()) std::copy(raw.begin(), raw.end(), digest.writable().begin());
  }
  static SizeRange size() { return {crypto::Digest::kSize, crypto::Digest::kSize}; }
  static std::string type() { return "32 bytes"; }
};

template <std::size_t Max>
struct Codec<Text<Max>> {
  static void put(Writer& w, const Text<Max>& text) {
    ASSERT(text.fits());
    w.varint(text.size());
    w.raw(bytes_of(text));
  }
  static void get(Reader& r, Text<Max>& text) {
    const std::size_t size = r.count(Max, 1);
    text.assign(text_of(r.raw(size)));
  }
  static SizeRange size() { return {1, varint_size(Max) + Max}; }
  static std::string type() { return "text, at most " + std::to_string(Max) + " bytes"; }
};

template <std::size_t Max>
struct Codec<Blob<Max>> {
  static void put(Writer& w, const Blob<Max>& blob) {
    ASSERT(blob.fits());
    w.varint(blob.size());
    w.raw(blob);
  }
  static void get(Reader& r, Blob<Max>& blob) {
    const std::size_t size = r.count(Max, 1);
    const Bytes raw = r.raw(size);
    blob.assign(raw.begin(), raw.end());
  }
  static SizeRange size() { return {1, varint_size(Max) + Max}; }
  static std::string type() { return "blob, at most " + std::to_string(Max) + " bytes"; }
};

template <std::size_t Max>
struct Codec<Payload<Max>> {
  static void put(Writer& w, const Payload<Max>& payload) {
    ASSERT(payload.fits());
    w.varint(payload.size());
    w.raw(payload.bytes());
  }
  static void get(Reader& r, Payload<Max>& payload) {
    const std::size_t size = r.count(Max, 1);
    payload = Payload<Max>(r.slice(size));
  }
  static SizeRange size() { return {1, varint_size(Max) + Max}; }
  static std::string type() { return "blob, at most " + std::to_string(Max) + " bytes"; }
};

template <std::size_t Max>
struct Codec<Bitmap<Max>> {
  static void put(Writer& w, const Bitmap<Max>& bitmap) {
    ASSERT(bitmap.fits());
    w.varint(bitmap.size());
    w.raw(bitmap.bytes());
  }
  static void get(Reader& r, Bitmap<Max>& bitmap) {
    const std::size_t bits = r.count(Max, 0);
    const Bytes packed = r.raw(Bitmap<Max>::bytes_for(bits));
    if (!r.failed() && !bitmap.assign(bits, packed)) r.fail(Fault::kPadding);
  }
  static SizeRange size() { return {1, varint_size(Max) + Bitmap<Max>::bytes_for(Max)}; }
  static std::string type() { return "bitmap, at most " + std::to_string(Max) + " bits"; }
};

}  // namespace longhaul::wire

#include "lib/wire/compound_codec.hpp"
