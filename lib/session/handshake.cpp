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

}  // namespace longhaul::session
