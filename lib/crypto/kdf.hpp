// HMAC-SHA256 (RFC 2104), HKDF (RFC 5869, labels as RFC 8446 section 7.1) and comparison that takes
// the same time wherever the difference lies. Pure functions; any thread.
#pragma once

#include <initializer_list>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/crypto/digest.hpp"

namespace longhaul::crypto {

constexpr std::size_t kHkdfBytesMax = 255 * Digest::kSize;

// Of the parts as if they stood in one piece: give fixed lengths, or lengths, where that could
// confuse.
Digest hmac_sha256(Bytes key, std::initializer_list<Bytes> parts);

Digest hkdf_extract(Bytes salt, Bytes secret);
// At most kHkdfBytesMax bytes.
ByteVector hkdf_expand(const Digest& key, Bytes info, std::size_t size);
// "tls13 " is put before the label, as TLS 1.3 and QUIC do; an empty context.
ByteVector hkdf_expand_label(const Digest& key, std::string_view label, std::size_t size);

// Of different sizes: false at once.
bool constant_time_equal(Bytes a, Bytes b);
void wipe(MutableBytes secret);  // not optimised away

}  // namespace longhaul::crypto
