// Any bytes as a stream of frames. Each frame of a known type is decoded; what decodes must give
// the same frame again.
#include "lib/wire/datagram.hpp"
#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::wire;

template <class T>
void try_body(FrameType type, Bytes frame) {
  const auto body = decode<T>(frame.subspan(kFrameHeaderBytes));
  if (!body.has_value()) return;
  ByteVector again(kFrameMax);
  again.resize(write_frame(again, type, *body));
  ASSERT(equal(again, frame));
}

void try_frame(FrameType type, Bytes frame) {
  switch (type) {
    case FrameType::kHello:
      return try_body<Hello>(type, frame);
    case FrameType::kAccept:
      return try_body<Accept>(type, frame);
    case FrameType::kRefuse:
      return try_body<Refuse>(type, frame);
    case FrameType::kData:
      return try_body<Data>(type, frame);
    case FrameType::kControl:
      return try_body<Control>(type, frame);
    case FrameType::kAck:
      return try_body<Ack>(type, frame);
    case FrameType::kPing:
      return try_body<Ping>(type, frame);
    case FrameType::kPong:
      return try_body<Pong>(type, frame);
    case FrameType::kGoodbye:
      return try_body<Goodbye>(type, frame);
    case FrameType::kJoin:
      return try_body<Join>(type, frame);
    case FrameType::kJoined:
      return try_body<Joined>(type, frame);
    case FrameType::kEpoch:
      return try_body<Epoch>(type, frame);
    case FrameType::kMode:
      return try_body<Mode>(type, frame);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in = std::as_bytes(std::span(data, size));
  for (;;) {
    const auto header = read_frame_header(in);
    if (!header.has_value() || !header->has_value()) return 0;
    const std::size_t whole = kFrameHeaderBytes + (*header)->body_bytes;
    ASSERT(whole <= kFrameMax);
    if (whole > in.size()) return 0;
    const auto type = judge_frame_type((*header)->type);
    if (!type.has_value()) return 0;
    if (type->has_value()) try_frame(**type, in.first(whole));
    in = in.subspan(whole);
  }
}
