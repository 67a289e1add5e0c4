#include "lib/crypto/kdf.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

namespace longhaul::crypto {
namespace {

constexpr std::size_t kBlockBytes = 64;  // of SHA-256

// The key, padded with zeros and masked.
std::array<std::byte, kBlockBytes> padded(Bytes key, std::byte mask) {
  std::array<std::byte, kBlockBytes> block{};
  std::copy(key.begin(), key.end(), block.begin());
  for (std::byte& b : block) b ^= mask;
  return block;
}

}  // namespace

Digest hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) {
  Digest short_key;
  if (key.size() > kBlockBytes) {
    short_key = sha256(key);
    key = short_key.bytes();
  }
  auto block = padded(key, std::byte{0x36});
  Sha256 hash;
  hash.update(block);
  for (const Bytes part : parts) hash.update(part);
  const Digest inner = hash.finish();
  block = padded(key, std::byte{0x5c});
  hash.update(block);
  hash.update(inner.bytes());
  wipe(block);
  wipe(short_key.writable());
  return hash.finish();
}

Digest hkdf_extract(Bytes salt, Bytes secret) {
  return hmac_sha256(salt, {secret});
}

ByteVector hkdf_expand(const Digest& key, Bytes info, std::size_t size) {
  ASSERT(size <= kHkdfBytesMax);
  ByteVector out;
  Digest block;
  for (unsigned round = 1; out.size() < size; ++round) {
    const std::byte counter[] = {static_cast<std::byte>(round)};
    const Bytes before = round == 1 ? Bytes{} : Bytes(block.bytes());
    block = hmac_sha256(key.bytes(), {before, info, counter});
    append(out, block.bytes().first(std::min(size - out.size(), Digest::kSize)));
  }
  wipe(block.writable());
  return out;
}

ByteVector hkdf_expand_label(const Digest& key, std::string_view label, std::size_t size) {
  constexpr std::string_view kPrefix = "tls13 ";
  ASSERT(label.size() + kPrefix.size() <= 255 && size <= 0xffff);
  ByteVector info(3);
  store_be<std::uint16_t>(info, static_cast<std::uint16_t>(size));
  info[2] = static_cast<std::byte>(kPrefix.size() + label.size());
  append(info, bytes_of(kPrefix));
  append(info, bytes_of(label));
  info.push_back(std::byte{0});
  return hkdf_expand(key, info, size);
}

bool constant_time_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(MutableBytes secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace longhaul::crypto
