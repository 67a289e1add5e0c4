#include "lib/session/handshake.hpp"

#include <algorithm>

#include "lib/crypto/kdf.hpp"
#include "lib/session/stream_path.hpp"

namespace longhaul::session {

std::unique_ptr<FramePath> dial_over_tls(const SessionKeys& keys, BufferPool& pool, PathId path) {
  return std::make_unique<StreamPath>(
      crypto::TlsEngine::client(*keys.tls, pool, keys.peer, keys.seed + path.value()), pool);
}

Association associate(const FramePath& first) {
  Association association;
  const crypto::Digest name = first.exported("EXPORTER-longhaul-session");
  std::copy_n(name.bytes().begin(), association.token.size(), association.token.begin());
  association.secret = first.exported("EXPORTER-longhaul-resume");
  association.peer = first.peer();
  return association;
}

wire::Proof prove(const Association& association, const FramePath& connection) {
  const crypto::Digest binding = connection.exported("EXPORTER-longhaul-join");
  const crypto::Digest mac =
      crypto::hmac_sha256(association.secret.bytes(), {association.token, binding.bytes()});
  wire::Proof proof;
  std::copy_n(mac.bytes().begin(), proof.size(), proof.begin());
  return proof;
}

bool proven(const Association& association, const FramePath& connection, const wire::Proof& proof) {
  return crypto::constant_time_equal(prove(association, connection), proof);
}

datagram::EpochKeys epoch_keys(const FramePath& primary, const wire::SessionToken& token,
                               std::uint32_t number, bool dials, bool chacha) {
  datagram::EpochKeys keys;
  keys.aead = chacha ? crypto::Aead::kChaCha20Poly1305 : crypto::Aead::kAes128Gcm;
  for (const std::uint8_t direction : {std::uint8_t{0}, std::uint8_t{1}}) {
    ByteVector context(token.begin(), token.end());
    context.resize(token.size() + sizeof number);
    store_le<std::uint32_t>(MutableBytes(context).subspan(token.size()), number);
    context.push_back(std::byte{direction});
    constexpr std::size_t kSecret = datagram::Secret::kSize;
    ByteVector material = primary.exported_for("EXPORTER-longhaul-udp", context,
                                               kSecret + datagram::kConnectionIdBytes);
    const datagram::Secret secret(Bytes(material).first<kSecret>());
    const bool sends = (direction == 0) == dials;
    (sends ? keys.send_secret : keys.receive_secret) = secret;
    std::copy_n(material.begin() + kSecret, datagram::kConnectionIdBytes,
                (sends ? keys.send_id : keys.receive_id).begin());
    crypto::wipe(material);
  }
  return keys;
}

}  // namespace longhaul::session
