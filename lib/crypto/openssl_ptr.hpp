// Owning pointers to OpenSSL's objects and conversions of spans. For lib/crypto/*.cpp only.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

#include "lib/base/bytes.hpp"
#include "lib/base/out_of_memory.hpp"

namespace longhaul::crypto {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const noexcept {
    static_cast<void>(Free(object));
  }
};
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using BioMethodPtr = std::unique_ptr<BIO_METHOD, FreeWith<BIO_meth_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using LibPtr = std::unique_ptr<OSSL_LIB_CTX, FreeWith<OSSL_LIB_CTX_free>>;
using ProviderPtr = std::unique_ptr<OSSL_PROVIDER, FreeWith<OSSL_PROVIDER_unload>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
struct FreeText {
  void operator()(unsigned char* text) const noexcept { OPENSSL_free(text); }
};
using TextPtr = std::unique_ptr<unsigned char, FreeText>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;

// For calls that a sound program sees fail for want of memory alone. OpenSSL says so by a null
// pointer or a zero; used as if it had not, that pointer ends the process without a word.
template <class T>
T* made(T* object) {
  if (object == nullptr) out_of_memory();
  return object;
}
inline void made(int done) {
  if (done != 1) out_of_memory();
}

inline const unsigned char* raw(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* raw(MutableBytes bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace longhaul::crypto
