#include "lib/crypto/tls_engine.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <optional>

#include "lib/base/rng.hpp"
#include "lib/crypto/tls_context_impl.hpp"
#include "lib/crypto/tls_pipe.hpp"

namespace longhaul::crypto {
namespace {

constexpr std::size_t kRecordBytes = 16384;
// Less than this is copied into a buffer of its size, so that a small message that is kept does not
// keep a record's room.
constexpr std::size_t kCopyBytesMax = 4096;

Error error_of(unsigned long code) {
  const char* text = ERR_reason_error_string(code);
  const std::string why = text != nullptr ? text : "the connection broke the protocol";
  switch (ERR_GET_REASON(code)) {
    case ERR_R_MALLOC_FAILURE:
      return Error(Kind::kLimit, "speak TLS", "out of memory");
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return Error(Kind::kAuth, "open a TLS connection", "a key was not shown");
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return Error(Kind::kAuth, "open a TLS connection", "the peer refused our key");
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC:
      return Error(Kind::kIntegrity, "decrypt a TLS record", "its bytes were changed on the way");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_NO_SHARED_CIPHER:
      return Error(Kind::kUnsupported, "open a TLS connection", "the peer speaks no TLS 1.3");
    default:
      return Error(Kind::kMalformed, "speak TLS", why);
  }
}

// A server's flight of a handshake fits into one such record, a stranger is given no larger buffer.
constexpr long kFlightBytes = 2048;

// A server speaks first to whom it knows: from then on records are whole and buffers stay, which
// saves two allocations a record. That of the handshake was released when the flight was written.
void settle(SSL* ssl) {
  SSL_set_max_send_fragment(ssl, static_cast<long>(kRecordBytes));
  SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
}

// These calls have no result, and from OpenSSL 3.2 on one that was refused memory leaves a
// connection without record layers, which the next call ends the process on.
void set_state(SSL* ssl, void (*set)(SSL*)) {
  ERR_clear_error();
  set(ssl);
  made(ERR_peek_error() == 0);
}

}  // namespace

struct TlsEngine::Impl {
  Impl(const TlsContext::Impl& shared, BufferPool& buffers, std::uint64_t seed,
       std::string_view side)
      : context(shared), pool(buffers), random(seed, side), pipe(buffers) {}

  const TlsContext::Impl& context;
  BufferPool& pool;
  Rng random;
  TlsPipe pipe;
  SslPtr ssl;  // before the pipe dies
  std::optional<Pin> wanted, shown;
  std::optional<Error> verdict;
  Buffer reading;
  std::uint64_t records = 0;  // sealed under the present key
  bool speaks = false;        // it has written application data
  bool closed = false;        // by us

  // Every call into the SSL object goes through here: a clean error queue before it, and this
  // engine's randomness where that is seeded.
  template <class F>
  auto call(F&& use) {
    const StageClock::Span span(context.options.stages, WorkStage::kTls);
    ERR_clear_error();
    std::optional<SeededRandom::Scope> scope;
    auto& seeded = const_cast<std::optional<SeededRandom>&>(context.random);
    if (seeded) scope.emplace(*seeded, random);
    return use(ssl.get());
  }
};

TlsEngine::TlsEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsEngine::~TlsEngine() = default;

std::unique_ptr<TlsEngine> TlsEngine::client(const TlsContext& context, BufferPool& pool,
                                             std::optional<Pin> pin, std::uint64_t seed) {
  auto impl = std::make_unique<Impl>(*context.impl_, pool, seed, "tls.client");
  impl->ssl.reset(made(SSL_new(context.impl_->client.get())));
  impl->wanted = pin;
  std::unique_ptr<TlsEngine> engine(new TlsEngine(std::move(impl)));
  set_state(engine->impl_->ssl.get(), SSL_set_connect_state);
  engine->begin();
  // The peer has not said a word. A context that was refused memory for one of its algorithms says
  // so only now, and dialling again would not help it.
  made(engine->state() != State::kFailed);
  return engine;
}

std::unique_ptr<TlsEngine> TlsEngine::server(const TlsContext& context, BufferPool& pool,
                                             std::uint64_t seed) {
  auto impl = std::make_unique<Impl>(*context.impl_, pool, seed, "tls.server");
  impl->ssl.reset(made(SSL_new(context.impl_->server.get())));
  SSL_set_max_send_fragment(impl->ssl.get(), kFlightBytes);
  std::unique_ptr<TlsEngine> engine(new TlsEngine(std::move(impl)));
  set_state(engine->impl_->ssl.get(), SSL_set_accept_state);
  engine->begin();
  return engine;
}

void TlsEngine::begin() {
  SSL* ssl = impl_->ssl.get();
  BIO* bio = impl_->pipe.make_bio(impl_->context.pipe_method.get());
  SSL_set_bio(ssl, bio, bio);
  made(SSL_set_app_data(ssl, this));
  advance();
}

// Stands in for the building of a chain: no authority, no name, no date, only the key.
int judge_certificate(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* engine = static_cast<TlsEngine*>(SSL_get_app_data(ssl));
  try {
    if (engine->judge(X509_STORE_CTX_get0_cert(store))) return 1;
  } catch (const std::bad_alloc&) {  // nothing is thrown through a C library
    ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

bool TlsEngine::judge(x509_st* certificate) {
  EVP_PKEY* key = certificate == nullptr ? nullptr : X509_get0_pubkey(certificate);
  constexpr const char* kAttempt = "check the peer's key";
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
    impl_->verdict = Error(Kind::kAuth, kAttempt, "it is not an Ed25519 key");
    return false;
  }
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const TextPtr owner(der);
  made(size > 0);
  const Pin pin = sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  impl_->shown = pin;
  if (pin == impl_->context.pin) {
    impl_->verdict = Error(Kind::kAuth, kAttempt, "it is our own");
  } else if (impl_->wanted.has_value() && pin != *impl_->wanted) {
    impl_->verdict = Error(Kind::kAuth, kAttempt,
                           "expected " + impl_->wanted->hex() + ", it showed " + pin.hex());
  }
  return !impl_->verdict.has_value();
}

void TlsEngine::fail_with(Error error) {
  state_ = State::kFailed;
  error_ = std::move(error);
  impl_->pipe.drop_in();
}

void TlsEngine::note_failure(int returned) {
  const unsigned long code = ERR_peek_error();
  switch (SSL_get_error(impl_->ssl.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kClosed;
      return;
    default:
      return fail_with(impl_->verdict.value_or(error_of(code)));
  }
}

void TlsEngine::advance() {
  const int done = impl_->call([](SSL* ssl) { return SSL_do_handshake(ssl); });
  if (done == 1) {
    state_ = State::kOpen;
  } else {
    note_failure(done);
  }
}

void TlsEngine::on_ciphertext(Slice in) {
  if (state_ == State::kFailed || state_ == State::kClosed) return;
  impl_->pipe.push_in(std::move(in));
  if (state_ == State::kHandshake) advance();
}

Slice TlsEngine::poll_ciphertext() {
  return impl_->pipe.pop_out();
}

Result<Slice> TlsEngine::read_plaintext() {
  if (state_ == State::kFailed) return fail(*error_);
  if (state_ != State::kOpen) return Slice{};
  if (impl_->reading.bytes().empty()) impl_->reading = impl_->pool.take(kRecordBytes);
  const MutableBytes room = impl_->reading.bytes().first(kRecordBytes);
  std::size_t got = 0;
  const int done =
      impl_->call([&](SSL* ssl) { return SSL_read_ex(ssl, room.data(), room.size(), &got); });
  if (done != 1) {
    note_failure(done);
    if (state_ == State::kFailed) return fail(*error_);
    return Slice{};
  }
  if (got > kCopyBytesMax) return std::exchange(impl_->reading, Buffer{}).freeze(got);
  Buffer small = impl_->pool.take(got);
  std::memcpy(small.bytes().data(), room.data(), got);
  return std::move(small).freeze(got);
}

Result<> TlsEngine::write_plaintext(Bytes text) {
  if (state_ == State::kFailed) return fail(*error_);
  ASSERT(state_ != State::kHandshake && !impl_->closed);
  if (text.empty()) return {};
  if (!std::exchange(impl_->speaks, true)) settle(impl_->ssl.get());
  if (impl_->records >= impl_->context.options.records_per_key) {
    impl_->records = 0;
    impl_->call([](SSL* ssl) { return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED); });
  }
  impl_->records += (text.size() + kRecordBytes - 1) / kRecordBytes;
  std::size_t written = 0;
  const int done =
      impl_->call([&](SSL* ssl) { return SSL_write_ex(ssl, text.data(), text.size(), &written); });
  if (done == 1) return {};
  note_failure(done);
  if (state_ != State::kFailed) fail_with(Error(Kind::kLink, "encrypt", "the engine is stuck"));
  return fail(*error_);
}

void TlsEngine::close() {
  if (state_ == State::kFailed || state_ == State::kHandshake) return;
  if (std::exchange(impl_->closed, true)) return;
  impl_->call([](SSL* ssl) { return SSL_shutdown(ssl); });
}

std::optional<Pin> TlsEngine::peer() const {
  if (state_ != State::kOpen && state_ != State::kClosed) return std::nullopt;
  return impl_->shown;
}

ByteVector TlsEngine::exporter(std::string_view label, Bytes context, std::size_t size) {
  ASSERT(state_ == State::kOpen || state_ == State::kClosed);
  ByteVector out(size);
  made(impl_->call([&](SSL* ssl) {
    return SSL_export_keying_material(ssl, raw(MutableBytes(out)), size, label.data(), label.size(),
                                      raw(context), context.size(), 1);
  }));
  return out;
}

}  // namespace longhaul::crypto
