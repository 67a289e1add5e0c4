// TlsEngine: one TLS 1.3 connection as a state machine over bytes: no socket, no clock. Both sides
// show a key and prove it; the peer's certificate is judged by its key alone (an Ed25519 key, not
// our own, and the pinned one where a pin was given). Whether a server may trust the client's key
// is its owner's decision, from peer(). Not thread-safe.
//
//   engine.on_ciphertext(bytes_from_socket);                       // any split
//   while (!(text = TRY(engine.read_plaintext())).empty()) use(text);
//   engine.write_plaintext(reply);
//   while (!(out = engine.poll_ciphertext()).empty()) send(out);   // after every other call
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "lib/base/slice.hpp"
#include "lib/crypto/tls_context.hpp"

struct x509_st;
struct x509_store_ctx_st;

namespace longhaul::crypto {

class TlsEngine {
 public:
  enum class State : std::uint8_t {
    kHandshake,
    kOpen,    // the peer has proved its key; a server's may still be unwelcome
    kClosed,  // the peer said that nothing more comes; we may still write
    kFailed,  // error() says why; an alert for the peer may wait in poll_ciphertext()
  };

  // `context` and `pool` outlive the engine and its slices. `pin`: nullopt takes any key, for
  // instance while pairing reversed. `seed` is used by a seeded context only.
  static std::unique_ptr<TlsEngine> client(const TlsContext& context, BufferPool& pool,
                                           std::optional<Pin> pin, std::uint64_t seed = 0);
  static std::unique_ptr<TlsEngine> server(const TlsContext& context, BufferPool& pool,
                                           std::uint64_t seed = 0);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  void on_ciphertext(Slice in);
  Slice poll_ciphertext();  // empty: nothing to send now

  // At most one record (16 KiB). Empty: nothing more for now. An error once the engine has failed.
  Result<Slice> read_plaintext();
  // Becomes records of at most 16 KiB, each write at least one. Not before the handshake is done
  // and not after close(): both are bugs. An error once the engine has failed.
  Result<> write_plaintext(Bytes text);
  void close();  // says that nothing more comes from us

  State state() const { return state_; }
  bool is_open() const { return state_ == State::kOpen; }
  const std::optional<Error>& error() const { return error_; }
  // The key the peer has proved; nullopt before.
  std::optional<Pin> peer() const;
  // Bytes that only the two ends know, bound to this connection (RFC 8446 section 7.5). The
  // handshake must be done.
  ByteVector exporter(std::string_view label, Bytes context, std::size_t size);

 private:
  friend int judge_certificate(x509_store_ctx_st* store, void*);
  struct Impl;
  explicit TlsEngine(std::unique_ptr<Impl> impl);
  void begin();
  void advance();  // of the handshake
  bool judge(x509_st* certificate);
  void fail_with(Error error);
  void note_failure(int returned);
  State state_ = State::kHandshake;
  std::optional<Error> error_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::crypto
