// Any bytes as a block: codec, promised length (2 bytes), body. The base repeats the body. What
// decodes must encode again and come back the same.
#include "compression/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::compression;
  if (size < 3) return 0;
  const Bytes input = std::as_bytes(std::span(data, size));
  const auto codec = codec_of(static_cast<std::uint8_t>(data[0] % (kCodecCount + 1)));
  if (!codec) return 0;
  ByteVector out(load_le<std::uint16_t>(input.subspan(1)));
  ByteVector base(out.size());
  for (std::size_t i = 0; i < base.size(); ++i) base[i] = input[i % input.size()];
  const Reference reference{base, nullptr};
  static Decoder decoder;
  if (!decoder.decode(*codec, input.subspan(3), reference, out)) return 0;
  static Encoder encoder;
  ByteVector again(encoded_bound(*codec, out.size()));
  const auto length = encoder.encode(*codec, out, reference, again);
  ASSERT(length.has_value());
  ByteVector back(out.size());
  ASSERT(decoder.decode(*codec, Bytes(again).first(*length), reference, back).has_value());
  ASSERT(back == out);
  return 0;
}
