#include "lib/crypto/tls_context.hpp"

#include "lib/crypto/tls_context_impl.hpp"
#include "lib/crypto/tls_pipe.hpp"

namespace longhaul::crypto {
namespace {

constexpr long kCertificateBytesMax = 4096;  // what a stranger may make us hold; ours has 300

constexpr const char* kAesFirst = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kChaChaFirst = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

void show_identity(SSL_CTX* context, OSSL_LIB_CTX* library, const Identity& identity) {
  const KeyPtr key(made(EVP_PKEY_new_raw_private_key_ex(
      library, "ED25519", nullptr, raw(identity.secret()), identity.secret().size())));
  const Bytes der = identity.certificate();
  made(SSL_CTX_use_certificate_ASN1(context, static_cast<int>(der.size()), raw(der)));
  made(SSL_CTX_use_PrivateKey(context, key.get()));
}

SslContextPtr make(OSSL_LIB_CTX* library, const SSL_METHOD* method, const Identity& identity,
                   const TlsOptions& options) {
  SslContextPtr owner(made(SSL_CTX_new_ex(library, nullptr, method)));
  SSL_CTX* context = owner.get();
  bool fine = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1;
  fine = fine && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
  const char* suites = options.aes_is_fast ? kAesFirst : kChaChaFirst;
  fine = fine && SSL_CTX_set_ciphersuites(context, suites) == 1;
  fine = fine && SSL_CTX_set1_groups_list(context, "X25519") == 1;
  fine = fine && SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1;
  fine = fine && SSL_CTX_set1_client_sigalgs_list(context, "ed25519") == 1;
  fine = fine && SSL_CTX_set_num_tickets(context, 0) == 1;
  made(fine);
  // The accepting side decides, but lets a dialler without AES instructions have ChaCha20.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // What records need is held while they pass, until there is much to say (TlsEngine).
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, kCertificateBytesMax);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, judge_certificate, nullptr);
  show_identity(context, library, identity);
  return owner;
}

}  // namespace

TlsContext::TlsContext(const Identity& identity, const TlsOptions& options)
    : impl_(std::make_unique<Impl>()) {
  // A library context of our own: the machine's openssl.cnf must not weaken, nor change, a byte.
  impl_->library.reset(made(OSSL_LIB_CTX_new()));
  OSSL_LIB_CTX* library = impl_->library.get();
  impl_->algorithms.reset(made(OSSL_PROVIDER_load(library, "default")));
  if (options.seeded) impl_->random.emplace(library);
  impl_->pipe_method = TlsPipe::make_method();
  impl_->client = make(library, TLS_client_method(), identity, options);
  impl_->server = make(library, TLS_server_method(), identity, options);
  impl_->options = options;
  impl_->pin = identity.pin();
}

TlsContext::~TlsContext() = default;

const Pin& TlsContext::pin() const {
  return impl_->pin;
}

}  // namespace longhaul::crypto
