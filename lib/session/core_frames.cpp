// What each frame of the peer does. An error here means that the peer, whose key we know, breaks
// the protocol: the session ends.
#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/session/core.hpp"

namespace longhaul::session {

namespace {
constexpr std::uint64_t kAckBytes = 128U << 10;  // at latest after so many
constexpr Duration kAckDelay = 10ms;             // at latest after this long

RefuseReason reason_of(wire::Refusal refusal) {
  switch (refusal) {
    case wire::Refusal::kVersion:
    case wire::Refusal::kCapability:
      return RefuseReason::kVersion;
    case wire::Refusal::kForbidden:
      return RefuseReason::kForbidden;
    case wire::Refusal::kNoSession:
      return RefuseReason::kNoSession;
    case wire::Refusal::kBusy:
      return RefuseReason::kBusy;
    case wire::Refusal::kMalformed:
      return RefuseReason::kMalformed;
  }
  return RefuseReason::kMalformed;
}

Error error_of(RefuseReason reason) {
  const char* what = "open a session";
  switch (reason) {
    case RefuseReason::kVersion:
      return {Kind::kUnsupported, what, "the peer speaks no version of ours"};
    case RefuseReason::kForbidden:
      return {Kind::kAuth, what, "the peer does not know our key"};
    case RefuseReason::kNoSession:
      return {Kind::kLink, what, "the peer's program began anew"};
    case RefuseReason::kBusy:
      return {Kind::kBusy, what, "the peer takes no more connections"};
    default:
      return {Kind::kMalformed, what, "the peer could not read our greeting"};
  }
}
}  // namespace

// The path may be gone after any frame.
Core::Outcome Core::on_frames(PathId id) {
  for (;;) {
    Path* path = paths_.find(id);
    if (ended_ || path == nullptr || !path->open()) return {};
    auto next = path->stream->next_frame();
    if (!next.has_value() && path->stream->error().has_value()) {
      // Bytes that were changed on the way: whoever did it is not our peer, whose key is proven.
      const Error why = next.error();
      lose(id, why);
      return {};
    }
    const auto frame = TRY(std::move(next));
    if (!frame.has_value()) return {};
    TRY(on_frame(*path, *frame));
  }
}

Core::Outcome Core::on_frame(Path& path, const FramePath::Frame& frame) {
  if (!path.accepted && frame.type != wire::FrameType::kAccept &&
      frame.type != wire::FrameType::kRefuse) {
    return fail(Kind::kMalformed, "read a frame", "it came before the answer to our Hello");
  }
  switch (frame.type) {
    case wire::FrameType::kAccept:
      return on_accept(path, TRY(wire::decode<wire::Accept>(frame.body)));
    case wire::FrameType::kRefuse:
      return on_refuse(path, TRY(wire::decode<wire::Refuse>(frame.body)));
    case wire::FrameType::kData:
      return on_data(path, frame.body);
    case wire::FrameType::kControl:
      owe_ack(path, frame.body.size());
      return messages_.on_control(TRY(wire::decode<wire::Control>(frame.body)));
    case wire::FrameType::kAck:
      return on_ack(path, TRY(wire::decode<wire::Ack>(frame.body)));
    case wire::FrameType::kPing:
      path.pong_due = TRY(wire::decode<wire::Ping>(frame.body)).number;
      return {};
    case wire::FrameType::kPong:
      path.heart.on_pong(now_, TRY(wire::decode<wire::Pong>(frame.body)).number);
      return {};
    case wire::FrameType::kGoodbye:
      on_goodbye(TRY(wire::decode<wire::Goodbye>(frame.body)));
      return {};
    case wire::FrameType::kEpoch:
      return on_epoch_frame(path, TRY(wire::decode<wire::Epoch>(frame.body)));
    case wire::FrameType::kMode:
      on_mode(TRY(wire::decode<wire::Mode>(frame.body)));
      return {};
    case wire::FrameType::kHello:
    case wire::FrameType::kJoin:
    case wire::FrameType::kJoined:
      break;
  }
  return fail(Kind::kMalformed, "read a frame", "it has no place in an open session");
}

Core::Outcome Core::on_accept(Path& path, const wire::Accept& accept) {
  if (path.accepted || !dials_) return fail(Kind::kMalformed, "read a frame", "a second Accept");
  if (accept.version < wire::kVersionLeast || accept.version > wire::kVersionMost ||
      (accept.capabilities & ~kCapabilities) != 0) {
    return fail(Kind::kUnsupported, "open a session", "the peer chose a version we did not offer");
  }
  path.accepted = true;
  extra_pause_ = 1s;
  control_pause_ = 250ms;
  messages_.on_credit(accept.credit);
  TRY(messages_.control().on_acked(accept.control_next));
  version_ = accept.version;
  capabilities_ = accept.capabilities;
  if ((capabilities_ & kCapabilityDatagrams) == 0) end_datagrams();
  if (!established_ || !up_) emit(Established{established_, version_, capabilities_});
  established_ = true;
  emit(PathUp{path.id, path.role});
  say_mode(path);
  services_due_ = true;
  return {};
}

Core::Outcome Core::on_refuse(Path& path, const wire::Refuse& refuse) {
  if (path.accepted || !dials_) return fail(Kind::kMalformed, "read a frame", "a late Refuse");
  const RefuseReason reason = reason_of(refuse.reason);
  const Error why = error_of(reason);
  if (reason == RefuseReason::kNoSession && (path.early || !established_)) {
    // The connection that began the association may still reach the peer. If none is left that
    // could, begin anew.
    lose(path.id, why);
    const bool hope = established_ || std::any_of(paths_.begin(), paths_.end(),
                                                  [](const auto& other) { return other->open(); });
    if (!hope) association_.reset();
    return {};
  }
  if (reason == RefuseReason::kBusy && established_) {
    lose(path.id, why);
    const std::uint32_t open = paths_.count(now_, PathRole::kBulk).open;
    if (const auto change = k_.on_refused(open)) emit(*change);
    return {};
  }
  end(now_, why, reason, false);
  return {};
}

Core::Outcome Core::on_data(Path& path, const Slice& body) {
  const wire::Data data = TRY(wire::decode<wire::Data>(body));
  ++path.frames_in;
  owe_ack(path, body.size());
  return messages_.on_data(data);
}

void Core::owe_ack(Path& path, std::size_t bytes) {
  path.bytes_owed += bytes;
  const Time at = path.bytes_owed >= kAckBytes ? now_ : now_ + kAckDelay;
  path.ack_at = std::min(path.ack_at.value_or(Time::max()), at);
}

Core::Outcome Core::on_ack(Path& path, const wire::Ack& ack) {
  const std::uint64_t bytes = TRY(path.in_flight.on_ack(
      ack.data_frames, [this](const Fragment& fragment) { messages_.on_acked(fragment); }));
  acked_bytes_ += bytes;
  if (bytes > 0) path.progress_at = now_;
  messages_.on_credit(ack.credit);
  return messages_.control().on_acked(ack.control_next);
}

void Core::on_goodbye(const wire::Goodbye& goodbye) {
  const bool known = goodbye.kind <= static_cast<std::uint8_t>(Kind::kInterrupted);
  const Kind kind = known ? static_cast<Kind>(goodbye.kind) : Kind::kLink;
  end(now_, Error(kind, "talk to the peer", "it ended the session: " + printable(goodbye.why)),
      RefuseReason::kNone, false);
}

}  // namespace longhaul::session
