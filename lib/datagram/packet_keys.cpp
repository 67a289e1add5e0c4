#include "lib/datagram/packet_keys.hpp"

#include <algorithm>

#include "lib/crypto/kdf.hpp"

namespace longhaul::datagram {

ByteVector packet_key(crypto::Aead aead, const Secret& secret) {
  return crypto::hkdf_expand_label(secret, "quic key", crypto::key_bytes(aead));
}

ByteVector header_key(crypto::Aead aead, const Secret& secret) {
  return crypto::hkdf_expand_label(secret, "quic hp", crypto::key_bytes(aead));
}

std::array<std::byte, crypto::kNonceBytes> packet_iv(const Secret& secret) {
  const ByteVector bytes = crypto::hkdf_expand_label(secret, "quic iv", crypto::kNonceBytes);
  std::array<std::byte, crypto::kNonceBytes> iv{};
  std::copy(bytes.begin(), bytes.end(), iv.begin());
  return iv;
}

Secret next_secret(const Secret& secret) {
  const ByteVector bytes = crypto::hkdf_expand_label(secret, "quic ku", Secret::kSize);
  return Secret(std::span<const std::byte, Secret::kSize>(bytes));
}

std::array<std::byte, crypto::kNonceBytes> packet_nonce(
    const std::array<std::byte, crypto::kNonceBytes>& iv, PacketNumber number) {
  std::array<std::byte, crypto::kNonceBytes> nonce = iv;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    nonce[nonce.size() - 1 - i] ^= static_cast<std::byte>(number >> (8 * i));
  }
  return nonce;
}

}  // namespace longhaul::datagram
