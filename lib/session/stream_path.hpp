// StreamPath: one TLS connection as a sequence of frames. Ciphertext in, frames out; frames in,
// ciphertext out. It knows nothing of lanes, sessions or time.
//
// Bounds: a frame that is not yet whole takes at most wire::kFrameMax bytes; ciphertext not yet
// read stays with the engine, whose owner stops feeding it (Greeter: 64 KiB before the peer is
// known). Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/ring.hpp"
#include "lib/base/slice.hpp"
#include "lib/crypto/tls_engine.hpp"
#include "lib/session/frame_path.hpp"
#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"

namespace longhaul::session {

class StreamPath final : public FramePath {
 public:
  StreamPath(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool);

  Result<> feed(const Slice& in) override;  // ciphertext
  bool secured() const override { return engine_->peer().has_value(); }
  crypto::Pin peer() const override { return *engine_->peer(); }
  const std::optional<Error>& error() const override { return engine_->error(); }
  Result<std::optional<Frame>> next_frame() override;
  bool peer_finished() const { return engine_->state() == crypto::TlsEngine::State::kClosed; }

  void seal(Bytes frame) override;
  void send_close() override;
  std::size_t output_bytes() const override { return output_bytes_; }
  Slice take_output() override;

  crypto::Digest exported(std::string_view label) const override;
  ByteVector exported_for(std::string_view label, Bytes context, std::size_t size) const override;
  std::uint64_t bytes_in() const { return bytes_in_; }

 private:
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
  std::uint64_t bytes_in_ = 0;
};

}  // namespace longhaul::session
