// Any bytes at a TLS engine, before, in and after an honest handshake. Stateful: the first byte
// says how many of the handshake's flights pass before, and to which side the bytes go; the second
// is the size of the pieces. Neither side may take the other for somebody else, nor read text that
// was not sent.
#include "tests/crypto/tls_pair.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::crypto;

const Bytes kText = bytes_of("what was sent");

void expect_honest(TlsEngine& engine, const Pin& other) {
  const auto text = engine.read_plaintext();
  if (text.has_value()) ASSERT(text->empty() || equal(text->bytes(), kText));
  if (const auto peer = engine.peer()) ASSERT(*peer == other);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Pin kClient = identity_of(kClientKey).pin(), kServer = identity_of(kServerKey).pin();
  if (size < 2 || size > 70'000) return 0;
  const Bytes noise = std::as_bytes(std::span(data, size)).subspan(2);
  TlsPair pair(3);
  const std::size_t split = data[1] == 0 ? ~std::size_t{0} : data[1];
  for (unsigned flight = 0; flight < data[0] % 5U; ++flight) {
    TlsEngine &from = flight % 2 == 0 ? *pair.client : *pair.server,
              &to = flight % 2 == 0 ? *pair.server : *pair.client;
    pair.carry(from, to, flight % 2 == 0, split, {});
  }
  if (pair.client->is_open()) ASSERT(pair.client->write_plaintext(kText).has_value());
  TlsEngine& victim = data[0] % 2 == 0 ? *pair.server : *pair.client;
  for (std::size_t at = 0; at < noise.size(); at += std::min(split, noise.size() - at))
    victim.on_ciphertext(Slice::copy_of(noise.subspan(at, std::min(split, noise.size() - at))));
  expect_honest(*pair.server, kClient);
  expect_honest(*pair.client, kServer);
  pair.exchange(split);
  expect_honest(*pair.server, kClient);
  expect_honest(*pair.client, kServer);
  return 0;
}
