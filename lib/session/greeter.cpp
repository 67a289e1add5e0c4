#include "lib/session/greeter.hpp"

#include <algorithm>

#include "lib/session/handshake.hpp"

namespace longhaul::session {

Greeter::Greeter(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool)
    : stream_(std::make_unique<StreamPath>(std::move(engine), pool)) {}

Result<> Greeter::on_stream(Time now, const Slice& in) {
  if (returned_ != nullptr) return {};  // refused: whatever it says
  ASSERT(stream_ != nullptr);
  if (!began_.has_value()) began_ = now;
  TRY(stream_->feed(in));
  if (stream_->secured() && handshake_rtt_ == Duration{}) handshake_rtt_ = now - *began_;
  if (knock_.has_value() || !stream_->secured()) return {};
  return look();
}

void Greeter::check() const {
  ASSERT(stream_ == nullptr || returned_ == nullptr);
  if (stream_ == nullptr)
    ASSERT(knock_.has_value() && knock_->hello() != nullptr);  // it was taken
  else
    ASSERT(!knock_.has_value() || stream_->secured());
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
  FramePath* stream = returned_ != nullptr ? returned_.get() : stream_.get();
  if (stream == nullptr || stream->output_bytes() == 0) return std::nullopt;
  return stream->take_output();
}

Arrival Greeter::take() {
  ASSERT(knock_.has_value() && knock_->hello() != nullptr);
  return Arrival{std::move(stream_), *knock_->hello(), handshake_rtt_};
}

void Greeter::give_back(Arrival arrival) {
  ASSERT(stream_ == nullptr && arrival.stream != nullptr);
  returned_ = std::move(arrival.stream);
}

void Greeter::refuse(wire::Refusal reason) {
  FramePath* stream = returned_ != nullptr ? returned_.get() : stream_.get();
  if (stream == nullptr || !stream->secured()) return;
  stream->send(wire::FrameType::kRefuse, wire::Refuse{reason});
  stream->send_close();
}

void Greeter::answer(const wire::Joined& joined) {
  stream_->send(wire::FrameType::kJoined, joined);
  stream_->send_close();
}

wire::Refusal refusal_of(const Error& why) {
  switch (why.kind()) {
    case Kind::kLink:
      return wire::Refusal::kNoSession;
    case Kind::kLimit:
      return wire::Refusal::kBusy;
    case Kind::kAuth:
      return wire::Refusal::kForbidden;
    default:
      return wire::Refusal::kMalformed;
  }
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
