// TlsContext: what all TLS connections of one identity share. TLS 1.3 only, X25519, Ed25519,
// AES-128-GCM and ChaCha20-Poly1305; no tickets, no resumption, no early data, no renegotiation;
// nothing of the system's OpenSSL configuration is read. Immutable; engines on any thread may share
// one, but a seeded one belongs to one thread.
#pragma once

#include <memory>

#include "lib/base/stage_clock.hpp"
#include "lib/crypto/identity.hpp"

namespace longhaul::crypto {

// A key seals at most this many records of 16 KiB before it is updated: RFC 8446 section 5.5 puts
// the limit of AES-GCM at 2^24.5.
constexpr std::uint64_t kRecordsPerKeyMax = std::uint64_t{1} << 23;

struct TlsOptions {
  bool aes_is_fast = true;  // has_fast_aes(); else ChaCha20 is asked for first
  // Simulation and tests: engines draw from their own seed instead of the system's entropy, so that
  // one seed gives one sequence of bytes.
  bool seeded = false;
  std::uint64_t records_per_key = kRecordsPerKeyMax;
  StageClock* stages = nullptr;  // told of what engines do; outlives them
};

class TlsContext {
 public:
  explicit TlsContext(const Identity& identity, const TlsOptions& options = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  const Pin& pin() const;  // our own

 private:
  friend class TlsEngine;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::crypto
