// The closed list of codecs a block on the wire may name, and the two objects that apply them. A
// decoder writes exactly the promised bytes into the span it is given or fails; it allocates at
// most that much again. Byte layouts: docs/compression.md. The ladder (ladder.hpp) says which codec
// to use.
//
//   Encoder encoder;                                        // one a thread; reuse it, it keeps its
//   memory auto size = encoder.encode(Codec::kPlanes2Zstd, chunk, {}, room.first(chunk.size())); if
//   (!size) send_raw(chunk);                             // would not fit: no gain
//   TRY(decoder.decode(codec, body, {}, out));              // out.size() is the promised length
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "compression/zstd_codec.hpp"

namespace longhaul::compression {

enum class Codec : std::uint8_t {  // the values are on the wire
  kRaw = 0,
  kZstd = 1,
  kZstdDictionary = 2,
  kPlanes2Zstd = 3,  // elements of 2 bytes: bf16, f16, token ids
  kPlanes4Zstd = 4,
  kPlanes8Zstd = 5,
  kXorPlanes2Zstd = 6,  // the delta to a base of equal length, in planes
  kXorPlanes4Zstd = 7,
  kXorPlanes8Zstd = 8,
};
inline constexpr std::uint8_t kCodecCount = 9;
inline constexpr std::size_t kMaxBlockBytes = std::size_t{1} << kMaxWindowLog;  // decoded

std::string_view name_of(Codec codec);       // "raw", "zstd", "planes2+zstd", ..
Result<Codec> codec_of(std::uint8_t value);  // kUnsupported if it is not on the list
std::size_t plane_width(Codec codec);        // 2, 4, 8; 1 for codecs without planes
bool needs_base(Codec codec);
// The planes codec for elements of this width, kZstd for a width without one.
Codec planes_codec(std::size_t element_bytes);
Codec xor_codec(std::size_t element_bytes);                    // width 2, 4 or 8
std::size_t encoded_bound(Codec codec, std::size_t in_bytes);  // no encoding is longer

// What both sides must hold for some codecs; the block header names it.
struct Reference {
  Bytes base;                              // for the XOR codecs: as long as the data
  const Dictionary* dictionary = nullptr;  // for kZstdDictionary
};

class Encoder {  // one thread at a time
 public:
  // Bytes written to `out`, or nothing if they do not fit. `in` is at most kMaxBlockBytes. `level`
  // is for kZstd alone. A missing or wrong-sized reference is a bug.
  std::optional<std::size_t> encode(Codec codec, Bytes in, const Reference& reference,
                                    MutableBytes out, int level = kMinZstdLevel);

 private:
  std::optional<std::size_t> encode_planes(std::size_t width, Bytes in, MutableBytes out);
  ZstdEncoder zstd_;
  ByteVector delta_, planes_;  // grow to the largest block met
};

class Decoder {  // one thread at a time
 public:
  // Fills `out`, whose size is the length that was promised (kLimit above kMaxBlockBytes), or fails
  // with kMalformed; kUsage says that the reference is not the one that was encoded with.
  Result<> decode(Codec codec, Bytes in, const Reference& reference, MutableBytes out);

 private:
  Result<> decode_planes(std::size_t width, Bytes in, MutableBytes out);
  ZstdDecoder zstd_;
  ByteVector planes_;
};

}  // namespace longhaul::compression
