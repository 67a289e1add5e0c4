#include "lib/run/event_file.hpp"

#include <fmt/format.h>

#include <bit>

#include "lib/run/crc32c.hpp"

namespace longhaul::run {
namespace {

constexpr std::size_t kHeadBytes = 12, kTailBytes = 4;

std::uint32_t masked(Bytes bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282'EAD8U;
}

// Protobuf's wire format: a key is a field's number and how its value is written.
enum Wire : std::uint8_t { kVarint = 0, kDouble = 1, kBytes = 2, kFloat = 5 };

class Message {
 public:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }
  void key(std::uint32_t field, Wire wire) { varint((std::uint64_t{field} << 3) | wire); }
  void number(std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;  // proto3 leaves defaults out
    key(field, kVarint);
    varint(value);
  }
  void real(std::uint32_t field, double value) {
    key(field, kDouble);
    fixed(std::bit_cast<std::uint64_t>(value));
  }
  void real(std::uint32_t field, float value) {
    key(field, kFloat);
    fixed(std::bit_cast<std::uint32_t>(value));
  }
  void bytes(std::uint32_t field, Bytes value) {
    key(field, kBytes);
    varint(value.size());
    append(bytes_, value);
  }
  Bytes all() const { return bytes_; }

 private:
  template <class Int>
  void fixed(Int value) {
    std::byte little[sizeof(Int)];
    store_le<Int>(little, value);
    append(bytes_, little);
  }
  ByteVector bytes_;
};

Message event(WallTime at, std::uint64_t step) {
  Message event;
  event.real(1, static_cast<double>(at.ns) * 1e-9);
  event.number(2, step);
  return event;
}

ByteVector record(const Message& event) {
  ByteVector out(kHeadBytes);
  store_le<std::uint64_t>(out, event.all().size());
  store_le(MutableBytes(out).subspan(8), masked(Bytes(out).first(8)));
  append(out, event.all());
  std::byte check[kTailBytes];
  store_le(MutableBytes(check), masked(event.all()));
  append(out, check);
  return out;
}

// One field of a message; its number is 0 at the end, or where the bytes make no sense.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;  // varint, or the bits of a fixed one
  Bytes bytes;
};

class Fields {
 public:
  explicit Fields(Bytes in) : in_(in) {}
  Field next() {
    Field field;
    const std::uint64_t key = varint();
    const std::size_t width = (key & 7) == kDouble ? 8 : (key & 7) == kFloat ? 4 : 0;
    if ((key & 7) == kVarint) {
      field.value = varint();
    } else if ((key & 7) == kBytes) {
      const std::uint64_t size = varint();
      if (size > in_.size()) return broken();
      field.bytes = in_.first(size);
      in_ = in_.subspan(size);
    } else if (width > 0 && in_.size() >= width) {
      field.value = width == 8 ? load_le<std::uint64_t>(in_) : load_le<std::uint32_t>(in_);
      in_ = in_.subspan(width);
    } else {
      return broken();
    }
    if (broken_) return {};
    field.number = key >> 3;
    return field;
  }

 private:
  Field broken() {
    in_ = {};
    broken_ = true;
    return {};
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !in_.empty(); shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(in_.front());
      in_ = in_.subspan(1);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken();
    return 0;
  }
  Bytes in_;
  bool broken_ = false;
};

std::optional<ScalarEvent> scalar_in(Bytes value) {
  ScalarEvent scalar;
  bool found = false;
  Fields fields(value);
  for (Field f = fields.next(); f.number != 0; f = fields.next()) {
    if (f.number == 1) scalar.tag = text_of(f.bytes);
    if (f.number == 2) {
      scalar.value = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(f.value)));
      found = true;
    }
  }
  if (!found) return std::nullopt;
  return scalar;
}

std::vector<ScalarEvent> scalars_in(Bytes event) {
  std::vector<ScalarEvent> scalars;
  WallTime at;
  std::uint64_t step = 0;
  Fields fields(event);
  for (Field f = fields.next(); f.number != 0; f = fields.next()) {
    if (f.number == 1) {
      const double seconds = std::bit_cast<double>(f.value);
      if (seconds >= 0 && seconds < 9e9) at.ns = static_cast<std::int64_t>(seconds * 1e9);
    }
    if (f.number == 2) step = f.value;
    if (f.number != 5) continue;
    Fields values(f.bytes);
    for (Field v = values.next(); v.number != 0; v = values.next()) {
      if (v.number != 1) continue;
      if (auto scalar = scalar_in(v.bytes)) scalars.push_back(*std::move(scalar));
    }
  }
  for (ScalarEvent& scalar : scalars) {
    scalar.at = at;
    scalar.step = step;
  }
  return scalars;
}

}  // namespace

std::string event_file_name(WallTime begun, std::string_view host, std::uint64_t process,
                            std::uint32_t number) {
  return fmt::format("events.out.tfevents.{:010}.{}.{}.{}", begun.ns / 1'000'000'000, host, process,
                     number);
}

ByteVector event_file_head(WallTime at) {
  Message head = event(at, 0);
  head.bytes(3, bytes_of("brain.Event:2"));
  return record(head);
}

ByteVector session_start_event(WallTime at, std::uint64_t step) {
  Message session;
  session.number(1, 1);  // START
  Message start = event(at, step);
  start.bytes(7, session.all());
  return record(start);
}

ByteVector scalar_event(WallTime at, std::uint64_t step, std::string_view tag, double value) {
  Message scalar;
  scalar.bytes(1, bytes_of(tag));
  scalar.real(2, static_cast<float>(value));
  Message summary;
  summary.bytes(1, scalar.all());
  Message whole = event(at, step);
  whole.bytes(5, summary.all());
  return record(whole);
}

Result<std::optional<std::vector<ScalarEvent>>> EventReader::next() {
  const auto damaged = [](const char* why) {
    return fail(Kind::kMalformed, "read an event file", why);
  };
  while (bytes_.size() - at_ >= kHeadBytes) {
    const Bytes bytes = Bytes(bytes_).subspan(at_);
    const auto size = load_le<std::uint64_t>(bytes);
    if (load_le<std::uint32_t>(bytes.subspan(8)) != masked(bytes.first(8)))
      return damaged("a record's length does not match its check");
    if (size > kEventBytesMax) return damaged("a record is too large");
    if (bytes.size() - kHeadBytes < size + kTailBytes) break;
    const Bytes data = bytes.subspan(kHeadBytes, size);
    if (load_le<std::uint32_t>(bytes.subspan(kHeadBytes + size)) != masked(data))
      return damaged("a record does not match its check");
    auto scalars = scalars_in(data);
    at_ += kHeadBytes + size + kTailBytes;
    if (!scalars.empty()) return std::optional(std::move(scalars));
  }
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  return std::optional<std::vector<ScalarEvent>>();
}

}  // namespace longhaul::run
