#include "compression/codec.hpp"

#include <algorithm>
#include <array>

#include "compression/byte_planes.hpp"
#include "compression/dictionary.hpp"
#include "compression/xor_delta.hpp"

namespace longhaul::compression {
namespace {

constexpr const char* kAttempt = "decode a block";
constexpr std::size_t kPlaneHeaderBytes = 4;

struct Row {
  std::string_view name;
  std::size_t width;
  bool base;
};
constexpr std::array<Row, kCodecCount> kRows = {{{"raw", 1, false},
                                                 {"zstd", 1, false},
                                                 {"zstd+dictionary", 1, false},
                                                 {"planes2+zstd", 2, false},
                                                 {"planes4+zstd", 4, false},
                                                 {"planes8+zstd", 8, false},
                                                 {"xor+planes2+zstd", 2, true},
                                                 {"xor+planes4+zstd", 4, true},
                                                 {"xor+planes8+zstd", 8, true}}};

const Row& row_of(Codec codec) {
  const auto index = static_cast<std::size_t>(codec);
  ASSERT(index < kRows.size());
  return kRows[index];
}

std::optional<std::size_t> copy_whole(Bytes in, MutableBytes out) {
  if (in.size() > out.size()) return std::nullopt;
  std::copy(in.begin(), in.end(), out.begin());
  return in.size();
}

}  // namespace

std::string_view name_of(Codec codec) {
  return row_of(codec).name;
}
std::size_t plane_width(Codec codec) {
  return row_of(codec).width;
}
bool needs_base(Codec codec) {
  return row_of(codec).base;
}

Result<Codec> codec_of(std::uint8_t value) {
  if (value >= kCodecCount) return fail(Kind::kUnsupported, kAttempt, "unknown codec");
  return static_cast<Codec>(value);
}

Codec planes_codec(std::size_t element_bytes) {
  switch (element_bytes) {
    case 2:
      return Codec::kPlanes2Zstd;
    case 4:
      return Codec::kPlanes4Zstd;
    case 8:
      return Codec::kPlanes8Zstd;
    default:
      return Codec::kZstd;
  }
}

Codec xor_codec(std::size_t element_bytes) {
  ASSERT(element_bytes == 2 || element_bytes == 4 || element_bytes == 8);
  if (element_bytes == 2) return Codec::kXorPlanes2Zstd;
  return element_bytes == 4 ? Codec::kXorPlanes4Zstd : Codec::kXorPlanes8Zstd;
}

std::size_t encoded_bound(Codec codec, std::size_t in_bytes) {
  switch (codec) {
    case Codec::kRaw:
      return in_bytes;
    case Codec::kZstd:
      return zstd_bound(in_bytes);
    case Codec::kZstdDictionary:
      return zstd_bound(in_bytes) + kDictionaryTagBytes;
    default:
      return in_bytes + plane_width(codec) * kPlaneHeaderBytes;
  }
}

std::optional<std::size_t> Encoder::encode(Codec codec, Bytes in, const Reference& reference,
                                           MutableBytes out, int level) {
  ASSERT(in.size() <= kMaxBlockBytes);
  if (codec == Codec::kRaw) return copy_whole(in, out);
  if (codec == Codec::kZstd) return zstd_.encode(in, level, out);
  if (codec == Codec::kZstdDictionary) {
    ASSERT(reference.dictionary != nullptr);
    const Bytes tag = reference.dictionary->tag();
    if (!copy_whole(tag, out)) return std::nullopt;
    const auto body = zstd_.encode(in, *reference.dictionary, out.subspan(tag.size()));
    if (!body) return std::nullopt;
    return tag.size() + *body;
  }
  if (!needs_base(codec)) return encode_planes(plane_width(codec), in, out);
  ASSERT(reference.base.size() == in.size());
  if (delta_.size() < in.size()) delta_.resize(in.size());
  const MutableBytes delta = MutableBytes(delta_).first(in.size());
  xor_with(in, reference.base, delta);
  return encode_planes(plane_width(codec), delta, out);
}

std::optional<std::size_t> Encoder::encode_planes(std::size_t width, Bytes in, MutableBytes out) {
  if (planes_.size() < in.size()) planes_.resize(in.size());
  const MutableBytes planes = MutableBytes(planes_).first(in.size());
  split_planes(in, width, planes);
  const std::size_t plane_bytes = in.size() / width;
  std::size_t at = 0;
  for (std::size_t k = 0; k < width; ++k) {
    const Bytes plane = planes.subspan(k * plane_bytes, plane_bytes);
    if (out.size() - at < kPlaneHeaderBytes) return std::nullopt;
    const MutableBytes header = out.subspan(at, kPlaneHeaderBytes);
    at += kPlaneHeaderBytes;
    const MutableBytes room = out.subspan(at);
    // One byte less than the plane: a frame that does not save that is stored instead.
    const std::size_t worth = std::min(room.size(), plane.size() > 0 ? plane.size() - 1 : 0);
    auto size = zstd_.encode_plane(plane, room.first(worth));
    if (!size) size = copy_whole(plane, room);
    if (!size) return std::nullopt;
    store_le(header, static_cast<std::uint32_t>(*size));
    at += *size;
  }
  const auto tail = copy_whole(planes.subspan(width * plane_bytes), out.subspan(at));
  if (!tail) return std::nullopt;
  return at + *tail;
}

Result<> Decoder::decode(Codec codec, Bytes in, const Reference& reference, MutableBytes out) {
  if (out.size() > kMaxBlockBytes) return fail(Kind::kLimit, kAttempt, "promises too much");
  if (codec == Codec::kRaw) {
    if (in.size() != out.size())
      return fail(Kind::kMalformed, kAttempt, "not of the promised length");
    std::copy(in.begin(), in.end(), out.begin());
    return {};
  }
  if (codec == Codec::kZstd) return zstd_.decode(in, out);
  if (codec == Codec::kZstdDictionary) {
    if (reference.dictionary == nullptr) return fail(Kind::kUsage, kAttempt, "needs a dictionary");
    if (in.size() < kDictionaryTagBytes) return fail(Kind::kMalformed, kAttempt, "cut short");
    if (!equal(in.first(kDictionaryTagBytes), reference.dictionary->tag()))
      return fail(Kind::kUsage, kAttempt, "was encoded with another dictionary");
    return zstd_.decode(in.subspan(kDictionaryTagBytes), *reference.dictionary, out);
  }
  if (!needs_base(codec)) return decode_planes(plane_width(codec), in, out);
  if (reference.base.size() != out.size())
    return fail(Kind::kUsage, kAttempt, "its base has another length");
  TRY(decode_planes(plane_width(codec), in, out));
  xor_with(out, reference.base, out);
  return {};
}

Result<> Decoder::decode_planes(std::size_t width, Bytes in, MutableBytes out) {
  const std::size_t plane_bytes = out.size() / width;
  const std::size_t tail_bytes = out.size() % width;
  std::array<Bytes, 8> bodies;  // found first: nothing is allocated for a block that is not whole
  for (std::size_t k = 0; k < width; ++k) {
    if (in.size() < kPlaneHeaderBytes) return fail(Kind::kMalformed, kAttempt, "cut short");
    const std::size_t size = load_le<std::uint32_t>(in);
    in = in.subspan(kPlaneHeaderBytes);
    if (size > plane_bytes || size > in.size())
      return fail(Kind::kMalformed, kAttempt, "a plane is longer than it may be");
    bodies[k] = in.first(size);
    in = in.subspan(size);
  }
  if (in.size() != tail_bytes)
    return fail(Kind::kMalformed, kAttempt, "wrong length behind planes");
  if (planes_.size() < out.size()) planes_.resize(out.size());
  const MutableBytes planes = MutableBytes(planes_).first(out.size());
  for (std::size_t k = 0; k < width; ++k) {
    const MutableBytes plane = planes.subspan(k * plane_bytes, plane_bytes);
    if (bodies[k].size() == plane_bytes)
      std::copy(bodies[k].begin(), bodies[k].end(), plane.begin());
    else
      TRY(zstd_.decode(bodies[k], plane));
  }
  std::copy(in.begin(), in.end(),
            planes.begin() + static_cast<std::ptrdiff_t>(width * plane_bytes));
  merge_planes(planes, width, out);
  return {};
}

}  // namespace longhaul::compression
