// PacketKeys: what RFC 9001 section 5 derives from a secret, for one direction and one key phase.
// Key updates follow section 6: the next phase's secret comes from this one's; the header key does
// not change. Not thread-safe.
#pragma once

#include <array>

#include "lib/crypto/aead.hpp"
#include "lib/crypto/digest.hpp"
#include "lib/datagram/packet_number.hpp"

namespace longhaul::datagram {

using Secret = crypto::Digest;

// Section 5.1: "quic key", "quic iv", "quic hp" of the secret; section 6.1: "quic ku".
ByteVector packet_key(crypto::Aead aead, const Secret& secret);
ByteVector header_key(crypto::Aead aead, const Secret& secret);
std::array<std::byte, crypto::kNonceBytes> packet_iv(const Secret& secret);
Secret next_secret(const Secret& secret);

// Section 5.3: the packet number, in network order at the end of the iv's length, XOR the iv.
std::array<std::byte, crypto::kNonceBytes> packet_nonce(
    const std::array<std::byte, crypto::kNonceBytes>& iv, PacketNumber number);

template <class Cipher>  // crypto::Sealer or crypto::Opener
struct PhaseKeys {
  PhaseKeys(crypto::Aead aead, const Secret& from)
      : secret(from), iv(packet_iv(from)), cipher(aead, packet_key(aead, from)) {}
  PhaseKeys next(crypto::Aead aead) const { return PhaseKeys(aead, next_secret(secret)); }

  Secret secret;
  std::array<std::byte, crypto::kNonceBytes> iv;
  Cipher cipher;
};

}  // namespace longhaul::datagram
