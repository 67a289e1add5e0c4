// The inside of TlsContext, for tls_context.cpp and tls_engine.cpp.
#pragma once

#include <optional>

#include "lib/crypto/openssl_ptr.hpp"
#include "lib/crypto/seeded_random.hpp"
#include "lib/crypto/tls_context.hpp"

namespace longhaul::crypto {

struct TlsContext::Impl {  // members die in reverse order: the library context last
  LibPtr library;
  ProviderPtr algorithms;
  std::optional<SeededRandom> random;
  BioMethodPtr pipe_method;
  SslContextPtr client, server;
  TlsOptions options;
  Pin pin;
};

// In tls_engine.cpp: judges the peer's certificate in place of OpenSSL's chain building.
int judge_certificate(X509_STORE_CTX* store, void*);

}  // namespace longhaul::crypto
