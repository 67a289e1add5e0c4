// TlsPair: a client and a server engine with a wire between them that splits, records and damages.
#pragma once

#include <functional>
#include <memory>

#include "lib/crypto/tls_engine.hpp"

namespace longhaul::crypto {

inline Identity identity_of(unsigned number) {
  std::array<std::byte, 32> entropy{};
  entropy[0] = static_cast<std::byte>(number);
  return Identity::from_entropy(entropy);
}

constexpr unsigned kClientKey = 1, kServerKey = 2;

// Making the contexts takes longer than a handshake, so that most tests share a pair of them.
struct TlsSides {
  TlsContext client, server;
  explicit TlsSides(TlsOptions options = {.seeded = true}, unsigned client_key = kClientKey)
      : client(identity_of(client_key), options), server(identity_of(kServerKey), options) {}
  static const TlsSides& shared() {
    static const TlsSides sides;
    return sides;
  }
};

class TlsPair {
 public:
  using Damage = std::function<void(bool from_client, ByteVector& bytes)>;

  explicit TlsPair(std::uint64_t seed = 1, std::optional<Pin> pin = identity_of(kServerKey).pin(),
                   const TlsSides& sides = TlsSides::shared())
      : client(TlsEngine::client(sides.client, pool, pin, seed)),
        server(TlsEngine::server(sides.server, pool, seed)) {}

  // Moves what waits, in pieces of at most `split` bytes, until nothing waits.
  void exchange(std::size_t split = ~std::size_t{0}, const Damage& damage = {}) {
    while (carry(*client, *server, true, split, damage) +
               carry(*server, *client, false, split, damage) >
           0) {
    }
  }
  std::size_t carry(TlsEngine& from, TlsEngine& to, bool is_client, std::size_t split,
                    const Damage& damage) {
    ByteVector bytes;
    for (Slice out = from.poll_ciphertext(); !out.empty(); out = from.poll_ciphertext())
      append(bytes, out.bytes());
    if (damage) damage(is_client, bytes);
    append(trace, bytes);
    for (std::size_t at = 0; at < bytes.size(); at += std::min(split, bytes.size() - at))
      to.on_ciphertext(
          Slice::copy_of(Bytes(bytes).subspan(at, std::min(split, bytes.size() - at))));
    return bytes.size();
  }
  bool both_open() const { return client->is_open() && server->is_open(); }
  static std::string read_all(TlsEngine& engine) {
    std::string text;
    for (auto piece = engine.read_plaintext(); piece.has_value() && !piece->empty();
         piece = engine.read_plaintext())
      text += text_of(piece->bytes());
    return text;
  }

  BufferPool pool;  // outlives the engines
  std::unique_ptr<TlsEngine> client, server;
  ByteVector trace;  // all that crossed, in order
};

}  // namespace longhaul::crypto
