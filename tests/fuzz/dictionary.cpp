// Any bytes as a dictionary (length in the first two), and the rest as a block that was made with
// it.
#include "compression/dictionary.hpp"

#include "compression/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::compression;
  if (size < 2) return 0;
  Bytes input = std::as_bytes(std::span(data, size));
  const std::size_t wanted = load_le<std::uint16_t>(input);
  input = input.subspan(2);
  const Bytes trained = input.first(std::min(wanted, input.size()));
  const auto dictionary = Dictionary::make(trained, {});
  if (!dictionary) return 0;
  ByteVector body(kDictionaryTagBytes);  // the tag of an all-zero digest
  append(body, input.subspan(trained.size()));
  ByteVector out(1000);
  static Decoder decoder;
  static_cast<void>(
      decoder.decode(Codec::kZstdDictionary, body, {{}, &*dictionary}, out).has_value());
  return 0;
}
