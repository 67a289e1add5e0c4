// FramePath: one connection as a sequence of frames, as the session sees it. StreamPath is the real
// one, over TLS; a recorded session is played back over another (replay.hpp), and TracedPath
// (trace.hpp) writes down what passes. Not thread-safe.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/crypto/digest.hpp"
#include "lib/crypto/identity.hpp"
#include "lib/session/output.hpp"
#include "lib/wire/frame.hpp"

namespace longhaul::session {

class FramePath {
 public:
  struct Frame {
    wire::FrameType type = wire::FrameType::kPing;
    Slice body;
  };
  FramePath() = default;
  virtual ~FramePath() = default;
  FramePath(const FramePath&) = delete;
  FramePath& operator=(const FramePath&) = delete;

  // What the peer sent, any split. After an error what output there is (an alert) may still be
  // sent; nothing else works.
  virtual Result<> feed(const Slice& in) = 0;
  virtual bool secured() const = 0;      // our frames may go out
  virtual crypto::Pin peer() const = 0;  // its key, proven; secured()
  virtual const std::optional<Error>& error() const = 0;
  // The next whole frame; optional unknown ones are skipped. nullopt: none yet.
  virtual Result<std::optional<Frame>> next_frame() = 0;

  // Seals a frame. secured() must hold.
  template <class T>
  void send(wire::FrameType type, const T& body) {
    // On the stack: a thousand paths of strangers must not hold one each.
    std::array<std::byte, wire::kFrameMax> frame;
    const std::size_t size = wire::write_frame(frame, type, body);
    seal(Bytes(frame).first(size));
  }
  virtual void seal(Bytes frame) = 0;  // a whole one, with its header
  virtual void send_close() = 0;
  virtual std::size_t output_bytes() const = 0;
  virtual Slice take_output() = 0;  // a part of it; empty: nothing to write

  // Keying material of this connection, the same at both ends and nowhere else.
  virtual crypto::Digest exported(std::string_view label) const = 0;
  // The same with a context, and as long as asked for; zeros where there is no TLS, and so no keys
  // for datagrams.
  virtual ByteVector exported_for(std::string_view, Bytes, std::size_t size) const {
    return ByteVector(size);
  }
};

// Where the paths of a session come from, if not from TLS alone.
class PathMaker {
 public:
  virtual ~PathMaker() = default;
  virtual std::unique_ptr<FramePath> dialled(PathId path) = 0;
};

}  // namespace longhaul::session
