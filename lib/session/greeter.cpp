#include "lib/session/greeter.hpp"

#include <algorithm>

#include "lib/session/handshake.hpp"

namespace longhaul::session {

Greeter::Greeter(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool)
    : stream_(std::make_unique<StreamPath>(std::move(engine), pool)) {}

Result<> Greeter::on_stream(const Slice& in) {
  ASSERT(stream_ != nullptr);
  TRY(stream_->feed(in));
  if (knock_.has_value() || !stream_->secured()) return {};
  return look();
}

Result<> Greeter::look() {
  auto frame = TRY(stream_->next_frame());
  if (!frame.has_value()) return {};
  switch (frame->type) {
    case wire::FrameType::kHello:
      knock_ = Knock{stream_->peer(), TRY(wire::decode<wire::Hello>(frame->body))};
      return {};
    case wire::FrameType::kJoin:
      knock_ = Knock{stream_->peer(), TRY(wire::decode<wire::Join>(frame->body))};
      return {};
    default:
      return fail(Kind::kMalformed, "greet a peer", "its first frame is no greeting");
  }
}

std::optional<Slice> Greeter::poll_output() {
  if (stream_ == nullptr || stream_->output_bytes() == 0) return std::nullopt;
  return stream_->take_output();
}

Arrival Greeter::take() {
  ASSERT(knock_.has_value() && knock_->hello() != nullptr);
  return Arrival{std::move(stream_), *knock_->hello()};
}

void Greeter::refuse(wire::Refusal reason) {
  if (!secured()) return;
  stream_->send(wire::FrameType::kRefuse, wire::Refuse{reason});
  stream_->send_close();
}

void Greeter::answer(const wire::Joined& joined) {
  stream_->send(wire::FrameType::kJoined, joined);
  stream_->send_close();
}

std::optional<wire::Refusal> judge_version(const wire::Hello& hello) {
  if (hello.version_least > hello.version_most) return wire::Refusal::kMalformed;
  if (hello.version_least > wire::kVersionMost || hello.version_most < wire::kVersionLeast) {
    return wire::Refusal::kVersion;
  }
  if ((hello.required & ~kCapabilities) != 0) return wire::Refusal::kCapability;
  return std::nullopt;
}

}  // namespace longhaul::session
