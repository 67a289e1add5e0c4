// Any bytes as any message: the first byte chooses, 255 is a transfer message with its place, 254 a
// feed message, 253 one of a probe with its own. What decodes must encode to the same bytes.
#include "tests/wire/catalogue.hpp"
#include "tests/wire/sample.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::wire;

template <class T>
void try_message(Bytes in) {
  const auto message = decode<T>(in);
  if (!message.has_value()) return;
  ASSERT(equal(encode(*message), in));
  const auto shared = decode<T>(Slice::copy_of(in));  // the path without copies
  ASSERT(shared.has_value() && equal(encode(*shared), in));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes in = std::as_bytes(std::span(data, size)).subspan(1);
  unsigned place = 0;
  if (data[0] == place++) try_message<Sample>(in);
  each_documented([&]<class T>() {
    if (data[0] == place++) try_message<T>(in);
  });
  if (data[0] == 255) try_message<TransferMessage>(in);
  if (data[0] == 254) try_message<FeedMessage>(in);
  if (data[0] == 253) try_message<ProbeMessage>(in);
  return 0;
}
