// SeededRandom: an OpenSSL provider whose random generator is a longhaul::Rng, so that a simulated
// TLS handshake gives the same bytes for the same seed. For simulation and tests only: whoever
// knows the seed knows the keys. Lives in one library context, used by one thread.
#pragma once

#include "lib/base/rng.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace longhaul::crypto {

class SeededRandom {
 public:
  explicit SeededRandom(OSSL_LIB_CTX* library);  // takes over the context's randomness for good
  SeededRandom(const SeededRandom&) = delete;
  SeededRandom& operator=(const SeededRandom&) = delete;

  // While it lives, what the library context draws comes from `stream`.
  class Scope {
   public:
    Scope(SeededRandom& random, Rng& stream);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    SeededRandom& random_;
    Rng* outer_;
  };

 private:
  ProviderPtr provider_;
  Rng** current_ = nullptr;  // in the provider's own context
  Rng own_;                  // for what the library draws outside of any scope
};

}  // namespace longhaul::crypto
