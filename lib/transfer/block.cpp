#include "lib/transfer/block.hpp"

#include "compression/codec.hpp"

namespace longhaul::transfer {

namespace {
Slice packed(wire::Block block, Slice payload) {
  block.payload = wire::Payload<wire::kBlockPayloadMax>(std::move(payload));
  const wire::TransferMessage message(std::move(block));
  const std::size_t size = wire::encoded_size(message);
  Buffer out(size);
  wire::encode_into(out.bytes().first(size), message);
  return std::move(out).freeze(size);
}
}  // namespace

EncodedBlock encode_block(wire::Block header, Slice raw, compression::Rung rung) {
  ASSERT(raw.size() <= wire::kBlockBytesMax);
  header.raw_bytes = static_cast<std::uint32_t>(raw.size());
  if (rung.codec != compression::Codec::kRaw) {
    Buffer room(raw.size());
    compression::Encoder encoder;
    const auto size =
        encoder.encode(rung.codec, raw.bytes(), {}, room.bytes().first(raw.size()), rung.level);
    if (size && *size < raw.size()) {
      header.codec = static_cast<std::uint8_t>(rung.codec);
      return {packed(std::move(header), std::move(room).freeze(*size)), *size};
    }
  }
  header.codec = static_cast<std::uint8_t>(compression::Codec::kRaw);
  const std::size_t size = raw.size();
  return {packed(std::move(header), std::move(raw)), size};
}

Result<Slice> decode_block(const wire::Block& block, Bytes base) {
  if (block.raw_bytes > wire::kBlockBytesMax)
    return fail(Kind::kLimit, "decode a block", "it is too large");
  const auto codec = TRY(compression::codec_of(block.codec));
  if (codec == compression::Codec::kZstdDictionary)
    return fail(Kind::kUnsupported, "decode a block", "it needs a dictionary that was not agreed");
  if (codec == compression::Codec::kRaw && block.payload.size() == block.raw_bytes)
    return Slice(block.payload);
  if (compression::needs_base(codec) && base.size() != block.raw_bytes)
    return fail(Kind::kMalformed, "decode a block", "its base has another length");
  compression::Decoder decoder;
  compression::Reference reference;
  reference.base = base;
  Buffer out(block.raw_bytes);
  const MutableBytes raw = out.bytes().first(block.raw_bytes);
  TRY(decoder.decode(codec, block.payload.bytes(), reference, raw));
  return std::move(out).freeze(block.raw_bytes);
}

}  // namespace longhaul::transfer
