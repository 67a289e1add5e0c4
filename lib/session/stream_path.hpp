// StreamPath: one TLS connection as a sequence of frames. Ciphertext in, frames out; frames in,
// ciphertext out. It knows nothing of lanes, sessions or time.
//
// Bounds: a frame that is not yet whole takes at most wire::kFrameMax bytes; ciphertext not yet
// read stays with the engine, whose owner stops feeding it (Greeter: 64 KiB before the peer is
// known). Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/ring.hpp"
#include "lib/base/slice.hpp"
#include "lib/crypto/tls_engine.hpp"
#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"

namespace longhaul::session {

class StreamPath {
 public:
  StreamPath(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool);

  // Ciphertext of the peer, any split. After an error what output there is (an alert) may still be
  // sent; nothing else works.
  Result<> feed(const Slice& in);
  bool secured() const {  // our frames may go out
    return engine_->peer().has_value();
  }
  crypto::Pin peer() const { return *engine_->peer(); }  // its key, proven; secured()
  const std::optional<Error>& error() const { return engine_->error(); }

  struct Frame {
    wire::FrameType type = wire::FrameType::kPing;
    Slice body;
  };
  // The next whole frame; optional unknown ones are skipped. nullopt: none yet.
  Result<std::optional<Frame>> next_frame();
  bool peer_finished() const { return engine_->state() == crypto::TlsEngine::State::kClosed; }

  // Seals a frame. secured() must hold.
  template <class T>
  void send(wire::FrameType type, const T& body) {
    const std::size_t size = wire::write_frame(scratch_, type, body);
    seal(size);
  }
  void send_close();
  std::size_t output_bytes() const { return output_bytes_; }
  Slice take_output();  // a part of it; empty: nothing to write

  // Keying material of this connection, the same at both ends and nowhere else.
  crypto::Digest exported(std::string_view label) const;
  std::uint64_t bytes_in() const { return bytes_in_; }

 private:
  void seal(std::size_t size);
  struct Raw {
    std::uint8_t type = 0;
    Slice body;
  };
  Result<std::optional<Raw>> cut_frame();
  Result<std::optional<Raw>> cut_partial();

  void collect();

  std::unique_ptr<crypto::TlsEngine> engine_;
  BufferPool* pool_;
  Ring<Slice> output_;
  std::size_t output_bytes_ = 0;
  Slice here_;          // decrypted, not yet parsed
  ByteVector partial_;  // the beginning of a frame that goes on in the next record
  std::array<std::byte, wire::kFrameMax> scratch_;
  std::uint64_t bytes_in_ = 0;
};

}  // namespace longhaul::session
