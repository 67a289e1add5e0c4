// SHA-256, which names chunks, trees and keys. `Digest` is a type of its own, so that 32 bytes of
// something else are never taken for a hash. A Sha256 belongs to one thread at a time.
//
//   Digest name = sha256(chunk);
//   Sha256 hash;  hash.update(a);  hash.update(b);  Digest whole = hash.finish();
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "lib/base/bytes.hpp"

struct evp_md_ctx_st;

namespace longhaul::crypto {

class Digest {
 public:
  static constexpr std::size_t kSize = 32;
  constexpr Digest() = default;  // all zero: the name of nothing
  explicit Digest(std::span<const std::byte, kSize> bytes) {
    std::memcpy(bytes_.data(), bytes.data(), kSize);
  }
  // Exactly 64 hexadecimal digits, else kMalformed.
  static Result<Digest> from_hex(std::string_view hex);

  std::span<const std::byte, kSize> bytes() const { return bytes_; }
  std::span<std::byte, kSize> writable() { return bytes_; }
  std::string hex() const { return to_hex(bytes_); }
  bool is_zero() const { return *this == Digest{}; }
  std::strong_ordering operator<=>(const Digest&) const = default;

 private:
  std::array<std::byte, kSize> bytes_{};
};

class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(Bytes more);
  void update(std::string_view more) { update(bytes_of(more)); }
  Digest finish();  // and starts anew

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest sha256(Bytes bytes);
inline Digest sha256(std::string_view text) {
  return sha256(bytes_of(text));
}

}  // namespace longhaul::crypto

template <>
struct std::hash<longhaul::crypto::Digest> {
  std::size_t operator()(const longhaul::crypto::Digest& digest) const noexcept {
    std::size_t first;  // a digest is as good a hash as there is
    std::memcpy(&first, digest.bytes().data(), sizeof first);
    return first;
  }
};
