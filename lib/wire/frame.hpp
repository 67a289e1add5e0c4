// Frames of a session: what travels inside a path's TLS stream once it is up (and, a frame per
// datagram, on the fast path). Byte tables: docs/wire.md.
//
//   frame = type u8, length u16 little-endian, body of that length
//
// A type with its top bit set is optional: who does not know it skips it. Any other unknown type
// ends the path with a typed error. A whole frame is at most kFrameMax bytes, which is one TLS
// record. Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/wire/codec.hpp"
#include "lib/wire/limits.hpp"

namespace longhaul::wire {

constexpr std::uint8_t kOptionalFrame = 0x80;

enum class FrameType : std::uint8_t {
  kHello = 1,
  kAccept = 2,
  kRefuse = 3,
  kData = 4,
  kControl = 5,
  kAck = 6,
  kPing = 7,
  kPong = 8,
  kGoodbye = 9,
  kJoin = 10,
  kJoined = 11,
  kEpoch = 12,
  kMode = kOptionalFrame | 1,
};
// Name and value: the body of frame kData is the message Data.
constexpr auto wire_values(FrameType) {
  return std::array{Known{FrameType::kHello, "Hello"},     Known{FrameType::kAccept, "Accept"},
                    Known{FrameType::kRefuse, "Refuse"},   Known{FrameType::kData, "Data"},
                    Known{FrameType::kControl, "Control"}, Known{FrameType::kAck, "Ack"},
                    Known{FrameType::kPing, "Ping"},       Known{FrameType::kPong, "Pong"},
                    Known{FrameType::kGoodbye, "Goodbye"}, Known{FrameType::kJoin, "Join"},
                    Known{FrameType::kJoined, "Joined"},   Known{FrameType::kEpoch, "Epoch"},
                    Known{FrameType::kMode, "Mode"}};
}

// A range of a message. Offsets and lengths are multiples of 16 but for the message's end.
struct Data {
  std::uint64_t message = 0;
  std::uint32_t offset = 0;
  std::uint32_t total = 0;
  std::uint8_t lane = 0;
  std::uint8_t service = 0;
  std::uint64_t key = 0;
  Payload<kFragmentMax> payload;
  template <class F>
  static void fields(F& f) {
    f(&Data::message, "message", "number within the session and direction");
    f(&Data::offset, "offset", "of the payload within the message; a multiple of 16");
    f(&Data::total, "total", "bytes of the message");
    f(&Data::lane, "lane", "1 live, 2 update, 3 demand, 4 bulk, 5 backfill");
    f(&Data::service, "service", "place in the list of services, the same at both ends");
    f(&Data::key, "key", "live: which state this is the newest of; else 0");
    f(&Data::payload, "payload", "at least one byte");
  }
};

// One message of the control lane. May come several times, over several paths.
struct Control {
  std::uint64_t number = 0;
  std::uint8_t service = 0;
  Payload<kControlBodyMax> body;
  template <class F>
  static void fields(F& f) {
    f(&Control::number, "number", "counts from 0 within the session and direction");
    f(&Control::service, "service", "as in Data");
    f(&Control::body, "body", "the message");
  }
};

struct Ack {
  std::uint64_t data_frames = 0;
  std::uint64_t control_next = 0;
  std::uint64_t credit = 0;
  template <class F>
  static void fields(F& f) {
    f(&Ack::data_frames, "data_frames", "received on this path since it began");
    f(&Ack::control_next, "control_next", "all control messages below it are here");
    f(&Ack::credit, "credit", "sum of (bytes + 1024) of all messages ever begun may reach this");
  }
};

struct Ping {
  std::uint64_t number = 0;
  template <class F>
  static void fields(F& f) {
    f(&Ping::number, "number", "a Pong with the same number is the answer");
  }
};

struct Pong {
  std::uint64_t number = 0;
  template <class F>
  static void fields(F& f) {
    f(&Pong::number, "number", "of the Ping it answers");
  }
};

// The session is over at the sender's; the text is for people.
struct Goodbye {
  std::uint8_t kind = 0;
  Text<256> why;
  template <class F>
  static void fields(F& f) {
    f(&Goodbye::kind, "kind", "an error kind of the sender's build, or any other number");
    f(&Goodbye::why, "why", "in words");
  }
};

struct FrameHeader {
  std::uint8_t type = 0;
  std::uint16_t body_bytes = 0;
  bool optional() const { return (type & kOptionalFrame) != 0; }
};
// nullopt: more bytes are needed. kLimit: longer than a frame may be.
Result<std::optional<FrameHeader>> read_frame_header(Bytes in);
// nullopt: unknown and optional, to be skipped. kUnsupported: unknown and not optional.
Result<std::optional<FrameType>> judge_frame_type(std::uint8_t type);

// Writes header and body to the front of `out` and returns how many bytes that took.
void write_frame_header(MutableBytes out, FrameType type, std::size_t body_bytes);
template <class T>
std::size_t write_frame(MutableBytes out, FrameType type, const T& body) {
  const std::size_t size = encoded_size(body);
  write_frame_header(out, type, size);
  encode_into(out.subspan(kFrameHeaderBytes, size), body);
  return kFrameHeaderBytes + size;
}

}  // namespace longhaul::wire
