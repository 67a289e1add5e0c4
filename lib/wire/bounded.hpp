// What a message may hold besides numbers: standard containers with a named maximum in their type.
// The maximum is checked before anything is allocated when decoding; encoding more than it is a
// bug, so whoever fills one from outside checks fits() first. Values; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/slice.hpp"

namespace longhaul::wire {

// Any bytes meant for people or as a name; not checked for UTF-8: print through printable().
template <std::size_t Max>
struct Text : std::string {
  static constexpr std::size_t kMax = Max;
  Text() = default;
  Text(std::string text) : std::string(std::move(text)) {}
  Text(std::string_view text) : std::string(text) {}
  Text(const char* text) : std::string(text) {}
  bool fits() const { return size() <= Max; }
};

// Short bytes, owned.
template <std::size_t Max>
struct Blob : ByteVector {
  static constexpr std::size_t kMax = Max;
  using ByteVector::ByteVector;
  Blob(ByteVector bytes) : ByteVector(std::move(bytes)) {}
  bool fits() const { return size() <= Max; }
};

// Bulk bytes, shared: decoding from a Slice yields a part of it, without a copy.
template <std::size_t Max>
struct Payload : Slice {
  static constexpr std::size_t kMax = Max;
  Payload() = default;
  Payload(Slice slice) : Slice(std::move(slice)) {}
  bool fits() const { return size() <= Max; }
  bool operator==(const Payload& other) const { return equal(bytes(), other.bytes()); }
};

template <class T, std::size_t Max>
struct List : std::vector<T> {
  static constexpr std::size_t kMax = Max;
  using std::vector<T>::vector;
  List(std::vector<T> items) : std::vector<T>(std::move(items)) {}
  bool fits() const { return this->size() <= Max; }
};

// Travels in ascending order of its keys, each once.
template <class K, class V, std::size_t Max>
struct Map : std::map<K, V> {
  static constexpr std::size_t kMax = Max;
  using std::map<K, V>::map;
  bool fits() const { return this->size() <= Max; }
};

// `size()` bits, bit i in byte i/8 at weight 2^(i%8); the bits beyond the end are zero.
class Bits {
 public:
  Bits() = default;
  explicit Bits(std::size_t size, bool value = false);
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool test(std::size_t index) const;
  void set(std::size_t index, bool value = true);
  std::size_t count() const;                     // bits that are set
  std::size_t next_set(std::size_t from) const;  // size() if there is none
  Bytes bytes() const { return bytes_; }
  bool operator==(const Bits&) const = default;

 protected:
  std::size_t size_ = 0;
  ByteVector bytes_;
};

template <std::size_t Max>
struct Bitmap : Bits {
  static constexpr std::size_t kMax = Max;
  using Bits::Bits;
  bool fits() const { return size() <= Max; }
  static constexpr std::size_t bytes_for(std::size_t bits) { return (bits + 7) / 8; }
  // False if a bit beyond the end is set.
  bool assign(std::size_t bits, Bytes packed) {
    if (bits % 8 != 0 && std::to_integer<unsigned>(packed.back()) >> (bits % 8) != 0) return false;
    size_ = bits;
    bytes_.assign(packed.begin(), packed.end());
    return true;
  }
};

// An integer that always takes sizeof(Int) bytes: for random ids, and for what is patched in place.
template <class Int>
struct Fixed {
  static_assert(std::is_unsigned_v<Int> && sizeof(Int) > 1);
  Int value = 0;
  auto operator<=>(const Fixed&) const = default;
};

}  // namespace longhaul::wire
