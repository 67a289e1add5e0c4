#include "lib/transfer/block.hpp"

#include "compression/codec.hpp"

namespace longhaul::transfer {

namespace {
Slice packed(wire::Block block, Slice payload) {
  block.payload = wire::Payload<wire::kBlockPayloadMax>(std::move(payload));
  return Slice::copy_of(wire::encode(wire::TransferMessage(std::move(block))));
}
}  // namespace

EncodedBlock encode_block(wire::Block header, Bytes raw, compression::Rung rung) {
  ASSERT(raw.size() <= wire::kBlockBytesMax);
  header.raw_bytes = static_cast<std::uint32_t>(raw.size());
  if (rung.codec != compression::Codec::kRaw) {
    Buffer room(raw.size());
    compression::Encoder encoder;
    const auto size =
        encoder.encode(rung.codec, raw, {}, room.bytes().first(raw.size()), rung.level);
    if (size && *size < raw.size()) {
      header.codec = static_cast<std::uint8_t>(rung.codec);
      return {packed(std::move(header), std::move(room).freeze(*size)), *size};
    }
  }
  header.codec = static_cast<std::uint8_t>(compression::Codec::kRaw);
  return {packed(std::move(header), Slice::copy_of(raw)), raw.size()};
}

Result<ByteVector> decode_block(const wire::Block& block, Bytes base) {
  if (block.raw_bytes > wire::kBlockBytesMax)
    return fail(Kind::kLimit, "decode a block", "it is too large");
  const auto codec = TRY(compression::codec_of(block.codec));
  if (codec == compression::Codec::kZstdDictionary)
    return fail(Kind::kUnsupported, "decode a block", "it needs a dictionary that was not agreed");
  ByteVector out(block.raw_bytes);
  if (compression::needs_base(codec) && base.size() != out.size())
    return fail(Kind::kMalformed, "decode a block", "its base has another length");
  compression::Decoder decoder;
  compression::Reference reference;
  reference.base = base;
  TRY(decoder.decode(codec, block.payload.bytes(), reference, out));
  return out;
}

}  // namespace longhaul::transfer
