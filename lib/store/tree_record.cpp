#include "lib/store/tree_record.hpp"

#include "lib/base/assert.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kDigestBytes = crypto::Digest::kSize;

void put_varint(ByteVector& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::byte>(value));
}

template <class Int>
void put(ByteVector& out, Int value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  store_le(MutableBytes(out).subspan(at), value);
}

tl::unexpected<Error> malformed(const char* why) {
  return fail(Kind::kMalformed, "read a manifest", why);
}

Result<Bytes> take(Bytes& in, std::uint64_t count) {
  if (count > in.size()) return malformed("it ends inside a record");
  const Bytes taken = in.first(static_cast<std::size_t>(count));
  in = in.subspan(taken.size());
  return taken;
}

template <class Int>
Result<Int> take_int(Bytes& in) {
  const Bytes taken = TRY(take(in, sizeof(Int)));
  return load_le<Int>(taken);
}

// Shortest form only: one value, one spelling.
Result<std::uint64_t> take_varint(Bytes& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(TRY(take(in, 1))[0]);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      if (byte == 0 && shift != 0) return malformed("a number is not in its shortest form");
      return value;
    }
  }
  return malformed("a number is too large");
}

crypto::Digest digest_from(Bytes bytes) {
  crypto::Digest digest;
  std::memcpy(digest.writable().data(), bytes.data(), kDigestBytes);
  return digest;
}

}  // namespace

ByteVector encode_pieces(std::span<const Piece> pieces) {
  ByteVector out;
  out.reserve(pieces.size() * (kDigestBytes + 4));
  for (const Piece& piece : pieces) {
    put_varint(out, piece.length << 1 | (piece.hole ? 1U : 0U));
    if (!piece.hole) append(out, piece.chunk.bytes());
  }
  return out;
}

void write_record(ByteVector& out, const RecordHead& head) {
  put<std::uint8_t>(out, static_cast<std::uint8_t>(head.type));
  put<std::uint8_t>(out, static_cast<std::uint8_t>(head.name.size()));
  append(out, bytes_of(head.name));
  switch (head.type) {
    case EntryType::kFolder:
      put<std::uint16_t>(out, static_cast<std::uint16_t>(head.mode));
      put<std::uint64_t>(out, static_cast<std::uint64_t>(head.mtime.ns));
      out.resize(out.size() + kFolderTail);
      break;
    case EntryType::kFile:
      put<std::uint16_t>(out, static_cast<std::uint16_t>(head.mode));
      put<std::uint64_t>(out, static_cast<std::uint64_t>(head.mtime.ns));
      put_varint(out, head.size);
      put_varint(out, head.pieces.size());
      append(out, head.pieces);
      break;
    case EntryType::kSymlink:
    case EntryType::kHardLink:
      put<std::uint16_t>(out, static_cast<std::uint16_t>(head.target.size()));
      append(out, bytes_of(head.target));
      break;
  }
}

void seal_folder(MutableBytes tail, const crypto::Digest& digest, std::uint64_t inside) {
  ASSERT(tail.size() == kFolderTail);
  std::memcpy(tail.data(), digest.bytes().data(), kDigestBytes);
  store_le(tail.subspan(kDigestBytes), inside);
}

Result<RecordHead> read_record(Bytes& in) {
  RecordHead head;
  const auto type = TRY(take_int<std::uint8_t>(in));
  if (type < 1 || type > 4) return malformed("an unknown type of entry");
  head.type = static_cast<EntryType>(type);
  const auto name_bytes = TRY(take_int<std::uint8_t>(in));
  head.name = text_of(TRY(take(in, name_bytes)));
  TRY(judge_component(head.name));
  if (head.type == EntryType::kSymlink || head.type == EntryType::kHardLink) {
    const auto length = TRY(take_int<std::uint16_t>(in));
    if (length > kTreeNameBytesMax) return malformed("a link's target is too long");
    head.target = text_of(TRY(take(in, length)));
    return head;
  }
  head.mode = TRY(take_int<std::uint16_t>(in));
  if ((head.mode & ~kModeMask) != 0) return malformed("a mode with setuid, setgid or sticky");
  head.mtime = WallTime{static_cast<std::int64_t>(TRY(take_int<std::uint64_t>(in)))};
  if (head.type == EntryType::kFolder) {
    head.digest = digest_from(TRY(take(in, kDigestBytes)));
    head.inside = TRY(take_int<std::uint64_t>(in));
    if (head.inside > in.size()) return malformed("a folder is larger than the manifest");
    return head;
  }
  head.size = TRY(take_varint(in));
  if (head.size > kFileBytesMax) return malformed("a file is too large");
  const std::uint64_t piece_bytes = TRY(take_varint(in));
  head.pieces = TRY(take(in, piece_bytes));
  return head;
}

Result<std::uint64_t> check_pieces(Bytes encoded, std::uint64_t size) {
  std::uint64_t chunks = 0, left = size;
  bool after_hole = false;
  while (!encoded.empty()) {
    const std::uint64_t word = TRY(take_varint(encoded));
    const std::uint64_t length = word >> 1;
    const bool hole = (word & 1) != 0;
    if (length == 0 || length > left) return malformed("pieces do not fill their file");
    if (hole && after_hole) return malformed("two holes in a row");
    if (!hole && length > kChunkBytesMax) return malformed("a chunk is too large");
    if (!hole) {
      TRY(take(encoded, kDigestBytes));
      ++chunks;
    }
    after_hole = hole;
    left -= length;
  }
  if (left != 0) return malformed("pieces do not fill their file");
  return chunks;
}

std::vector<Piece> decode_pieces(Bytes encoded) {
  std::vector<Piece> pieces;
  pieces.reserve(encoded.size() / kDigestBytes);
  while (!encoded.empty()) {
    const auto word = take_varint(encoded);
    ASSERT(word.has_value());
    Piece piece{*word >> 1, (*word & 1) != 0, {}};
    if (!piece.hole) {
      piece.chunk = digest_from(encoded.first(kDigestBytes));
      encoded = encoded.subspan(kDigestBytes);
    }
    pieces.push_back(piece);
  }
  return pieces;
}

}  // namespace longhaul::store
