// Authenticated encryption in place, for what does not travel inside TLS. A Sealer or Opener holds
// one key; the caller never uses a nonce twice under it. After construction nothing is allocated.
// Each belongs to one thread at a time.
//
//   Sealer sealer(Aead::kAes128Gcm, key);
//   sealer.seal(nonce, header, packet);   // packet: plaintext, then kTagBytes of room
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/bytes.hpp"

struct evp_cipher_ctx_st;

namespace longhaul::crypto {

enum class Aead : std::uint8_t { kAes128Gcm, kChaCha20Poly1305 };
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t key_bytes(Aead aead) {
  return aead == Aead::kAes128Gcm ? 16 : 32;
}
using Nonce = std::span<const std::byte, kNonceBytes>;

// Whether this processor has instructions for AES; without them ChaCha20 is several times faster.
bool has_fast_aes();

namespace detail {
struct FreeCipher {
  void operator()(evp_cipher_ctx_st* context) const noexcept;
};
using CipherContext = std::unique_ptr<evp_cipher_ctx_st, FreeCipher>;
}  // namespace detail

class Sealer {
 public:
  Sealer(Aead aead, Bytes key);  // key_bytes(aead) bytes
  // `text_and_tag` ends in kTagBytes for the tag; what stands before them is encrypted in place.
  void seal(Nonce nonce, Bytes header, MutableBytes text_and_tag);

 private:
  detail::CipherContext context_;
};

class Opener {
 public:
  Opener(Aead aead, Bytes key);
  // The plaintext, in place; nullopt, and the bytes then worthless, if a bit of it was changed.
  std::optional<MutableBytes> open(Nonce nonce, Bytes header, MutableBytes text_and_tag);
  // The same out of place: writes the text to the front of `out`, which has room for it, and gives
  // its size. `out` is worthless after a forgery.
  std::optional<std::size_t> open_into(Nonce nonce, Bytes header, Bytes text_and_tag,
                                       MutableBytes out);

 private:
  detail::CipherContext context_;
};

// Header protection of RFC 9001 section 5.4: five bytes that hide a packet's number, made from a
// sample of its ciphertext.
class HeaderMask {
 public:
  static constexpr std::size_t kSampleBytes = 16;
  static constexpr std::size_t kMaskBytes = 5;
  HeaderMask(Aead aead, Bytes key);  // key_bytes(aead) bytes
  std::array<std::byte, kMaskBytes> of(std::span<const std::byte, kSampleBytes> sample);

 private:
  const Aead aead_;
  detail::CipherContext context_;
};

}  // namespace longhaul::crypto
