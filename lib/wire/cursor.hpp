// Writer and Reader: the primitives under every message. A Writer counts, or fills a buffer of
// exactly the counted size. A Reader never reads past its end, never allocates, and remembers the
// first fault: after one every read yields zero, so that a decoder checks once, at the end.
//
// Canonical form: an integer's varint is the shortest one (LEB128), fixed integers are
// little-endian, a bool is 0 or 1. One value, one encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/base/slice.hpp"

namespace longhaul::wire {

constexpr std::size_t kVarintBytesMax = 10;

class Writer {
 public:
  Writer() = default;  // counts only
  explicit Writer(MutableBytes out) : out_(out), filling_(true) {}

  void byte(std::uint8_t value);
  void varint(std::uint64_t value);
  void raw(Bytes bytes);
  template <class Int>
  void fixed(Int value) {
    std::byte little[sizeof(Int)];
    store_le<Int>(little, value);
    raw(little);
  }
  std::size_t size() const { return size_; }  // bytes written or counted so far

 private:
  MutableBytes out_;
  std::size_t size_ = 0;
  bool filling_ = false;
};

enum class Fault : std::uint8_t {
  kNone,
  kTruncated,     // the bytes end before the value does
  kNotMinimal,    // a varint longer than it need be
  kOutOfRange,    // does not fit its type
  kUnknownValue,  // not in the closed list of an enum, a bool, a tag
  kOverLimit,     // longer than its named maximum
  kNotSorted,     // map keys out of order or twice
  kPadding,       // bits set beyond a bitmap's end
  kTrailing,      // bytes left after the message
};
std::string_view why(Fault fault);

class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}
  // Payloads decoded from a Slice are parts of it; from plain bytes they are copies.
  explicit Reader(const Slice& in) : in_(in.bytes()), owner_(&in) {}

  std::uint8_t byte();
  std::uint64_t varint();
  std::uint64_t varint(std::uint64_t max);  // above it: kOutOfRange
  // A length or a count, checked before anybody allocates: at most `max`, and each of the things
  // counted takes at least `least_each` of the bytes that are left.
  std::size_t count(std::size_t max, std::size_t least_each);
  Bytes raw(std::size_t size);    // empty after a fault
  Slice slice(std::size_t size);  // the same, owned
  template <class Int>
  Int fixed() {
    const Bytes little = raw(sizeof(Int));
    return failed() ? Int{0} : load_le<Int>(little);
  }

  std::size_t left() const { return in_.size() - at_; }
  bool failed() const { return fault_ != Fault::kNone; }
  Fault fault() const { return fault_; }
  void fail(Fault fault) {
    if (fault_ == Fault::kNone) fault_ = fault;
  }
  // For messages about the fault: the field being read; the first fault freezes it.
  void at_field(std::string_view name) {
    if (!failed()) field_ = name;
  }
  // Ok if nothing failed and all bytes were read. `message` names what was decoded.
  Result<> finish(std::string_view message);

 private:
  Bytes in_;
  const Slice* owner_ = nullptr;
  std::size_t at_ = 0;
  Fault fault_ = Fault::kNone;
  std::string_view field_;
};

}  // namespace longhaul::wire
