// Any bytes as a zstd frame: the first two say the promised length.
#include "compression/zstd_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  if (size < 2) return 0;
  const Bytes input = std::as_bytes(std::span(data, size));
  static compression::ZstdDecoder decoder;
  ByteVector out(
      load_le<std::uint16_t>(input));  // exact, so that the sanitizer sees a write behind it
  static_cast<void>(decoder.decode(input.subspan(2), out).has_value());
  return 0;
}
