// One field list per message gives its encoding, its decoding, its size limits and its table in
// docs/wire.md. A message is a struct with public members and
//
//   struct Want {
//     TransferId transfer;
//     Bitmap<kSegmentEntriesMax> missing;
//     template <class F> static void fields(F& f) {
//       f(&Want::transfer, "transfer");
//       f(&Want::missing, "missing", "bit i: entry i of the segment is not here");
//     }
//   };
//   ByteVector bytes = encode(want);
//   Want back = TRY(decode<Want>(bytes));
//
// Decoding takes bytes from anybody: every length is checked before it is used, all bytes must be
// consumed, and each value has exactly one encoding, so that encode(decode(x)) == x.
// What a field may be stands in field_codec.hpp. An enum needs, next to it,
//   constexpr auto wire_values(Role) { return std::array{Known{Role::kOwner, "owner"}, ..}; }
#pragma once

#include <string>
#include <utility>

#include "lib/wire/field_codec.hpp"

namespace longhaul::wire {

template <class T>
std::size_t encoded_size(const T& message) {
  Writer counter;
  Codec<T>::put(counter, message);
  return counter.size();
}

// Exactly encoded_size() bytes at the front of `out`.
template <class T>
void encode_into(MutableBytes out, const T& message) {
  Writer writer(out);
  Codec<T>::put(writer, message);
}

template <class T>
ByteVector encode(const T& message) {
  ByteVector out(encoded_size(message));
  encode_into(out, message);
  return out;
}

template <class T>
Slice encode(const T& message, BufferPool& pool) {
  const std::size_t size = encoded_size(message);
  Buffer buffer = pool.take(size);
  encode_into(buffer.bytes().first(size), message);
  return std::move(buffer).freeze(size);
}

// `In` is Bytes or a Slice; payloads of a Slice are parts of it.
template <class T>
Result<T> decode_from(Reader& reader) {
  T message{};
  Codec<T>::get(reader, message);
  TRY(reader.finish(type_name<T>()));
  return message;
}
template <class T>
Result<T> decode(Bytes in) {
  Reader reader(in);
  return decode_from<T>(reader);
}
template <class T>
Result<T> decode(const Slice& in) {
  Reader reader(in);
  return decode_from<T>(reader);
}

// Fewest and most bytes of an encoded T.
template <class T>
SizeRange size_range() {
  return Codec<T>::size();
}

// The table of T for docs/wire.md: a line per field.
template <class T>
std::string describe() {
  detail::Describer<T> describer;
  T::fields(describer);
  return std::move(describer).table();
}

}  // namespace longhaul::wire
