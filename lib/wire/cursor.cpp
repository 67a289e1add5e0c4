#include "lib/wire/cursor.hpp"

#include <limits>

namespace longhaul::wire {

void Writer::byte(std::uint8_t value) {
  const std::byte one[] = {static_cast<std::byte>(value)};
  raw(one);
}

void Writer::varint(std::uint64_t value) {
  std::byte groups[kVarintBytesMax];
  std::size_t used = 0;
  while (value >= 0x80) {
    groups[used++] = static_cast<std::byte>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  groups[used++] = static_cast<std::byte>(value);
  raw(Bytes(groups, used));
}

void Writer::raw(Bytes bytes) {
  if (filling_ && !bytes.empty()) {
    ASSERT(bytes.size() <= out_.size() - size_);
    std::memcpy(out_.data() + size_, bytes.data(), bytes.size());
  }
  size_ += bytes.size();
}

std::string_view why(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "nothing is wrong";
    case Fault::kTruncated:
      return "cut short";
    case Fault::kNotMinimal:
      return "a number in more bytes than it needs";
    case Fault::kOutOfRange:
      return "a number out of range";
    case Fault::kUnknownValue:
      return "a value that is not in its list";
    case Fault::kOverLimit:
      return "longer than allowed";
    case Fault::kNotSorted:
      return "keys out of order";
    case Fault::kPadding:
      return "bits set beyond the end";
    case Fault::kTrailing:
      return "bytes left over";
  }
  return "unknown fault";
}

std::uint8_t Reader::byte() {
  const Bytes one = raw(1);
  return one.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(one[0]);
}

std::uint64_t Reader::varint() {
  return varint(std::numeric_limits<std::uint64_t>::max());
}

std::uint64_t Reader::varint(std::uint64_t max) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t group = byte();
    if (failed()) return 0;
    const std::uint64_t bits = group & 0x7fU;
    if (shift == 63 && bits > 1) break;  // the 65th bit
    value |= bits << shift;
    if ((group & 0x80U) != 0) continue;
    if (group == 0 && shift > 0) fail(Fault::kNotMinimal);
    if (value > max) fail(Fault::kOutOfRange);
    return failed() ? 0 : value;
  }
  fail(Fault::kOutOfRange);
  return 0;
}

std::size_t Reader::count(std::size_t max, std::size_t least_each) {
  const std::uint64_t n = varint();
  if (n > max) fail(Fault::kOverLimit);
  if (!failed() && least_each > 0 && n > left() / least_each) fail(Fault::kTruncated);
  return failed() ? 0 : static_cast<std::size_t>(n);
}

Bytes Reader::raw(std::size_t size) {
  if (size > left()) fail(Fault::kTruncated);
  if (failed()) return {};
  const Bytes taken = in_.subspan(at_, size);
  at_ += size;
  return taken;
}

Slice Reader::slice(std::size_t size) {
  const std::size_t from = at_;
  const Bytes taken = raw(size);
  if (taken.empty()) return {};
  return owner_ != nullptr ? owner_->part(from, size) : Slice::copy_of(taken);
}

Result<> Reader::finish(std::string_view message) {
  if (!failed() && left() > 0) {
    field_ = {};
    fail(Fault::kTrailing);
  }
  if (!failed()) return {};
  std::string attempt = "decode ";
  attempt += message;
  if (!field_.empty()) {
    attempt += '.';
    attempt += field_;
  }
  const Kind kind = fault_ == Fault::kOverLimit ? Kind::kLimit : Kind::kMalformed;
  return longhaul::fail(kind, std::move(attempt), std::string(why(fault_)));
}

}  // namespace longhaul::wire
