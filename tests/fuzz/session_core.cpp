// An authenticated peer that speaks any frames in any order: real TLS, then a grammar of frames
// driven by the input, against an accepting Session. No input may break an invariant, and what the
// session holds stays bounded. One input byte picks a frame, the next ones its fields.
#include <array>
#include <cstdint>

#include "tests/fuzz/hostile.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::fuzz;

class Attack {
 public:
  Attack()
      : victim_tls_(identity_of(1), {.seeded = true}),
        mine_tls_(identity_of(2), {.seeded = true}) {}

  void run(Input input) {
    StreamPath mine(crypto::TlsEngine::client(mine_tls_, pool_, victim_tls_.pin(), 1), pool_);
    Greeter greeter(crypto::TlsEngine::server(victim_tls_, pool_, 2), pool_);
    while (!mine.secured()) {
      for (Slice out = mine.take_output(); !out.empty(); out = mine.take_output()) {
        ASSERT(greeter.on_stream(Time{}, out).has_value());
      }
      while (auto out = greeter.poll_output()) ASSERT(mine.feed(*out).has_value());
    }
    mine.send(wire::FrameType::kHello, wire::Hello{});
    for (Slice out = mine.take_output(); !out.empty(); out = mine.take_output()) {
      ASSERT(greeter.on_stream(Time{}, out).has_value());
    }
    ASSERT(greeter.knock() != nullptr);
    Sink sink;
    Service* services[] = {&sink};
    SessionOptions options;
    options.buffers = &pool_;
    options.window_bytes = 8U << 20;
    PathId path;
    Arrival arrival = greeter.take();
    auto session = Session::accept(now_, arrival, options, services, &path);
    while (!input.empty()) {
      send(mine, input);
      for (Slice out = mine.take_output(); !out.empty(); out = mine.take_output()) {
        session->on_stream(now_, path, out);
      }
      now_ += Duration(static_cast<std::int64_t>(input.byte()) * 1'000'000);
      if (input.byte() % 4 == 0) session->on_writable(now_, path, 65536);
      const auto due = session->next_deadline();
      if (due.has_value() && *due <= now_) session->on_deadline(now_);
      while (session->poll_output()) {
      }
      session->check();
      ASSERT(session->status().partial_bytes <= options.window_bytes);
    }
  }

 private:
  static void send(StreamPath& mine, Input& input) {
    switch (input.byte() % 9) {
      case 0: {
        wire::Data data;
        data.message = input.number();
        data.offset = static_cast<std::uint32_t>(input.number());
        data.total = static_cast<std::uint32_t>(input.number());
        data.lane = input.byte() % 8;
        data.service = input.byte() % 4 == 0 ? 1 : 0;
        data.key = input.byte();
        data.payload = body_of(input.number() % (wire::kFragmentMax + 1));
        return mine.send(wire::FrameType::kData, data);
      }
      case 1: {
        wire::Control control;
        control.number = input.number();
        control.body = body_of(input.number() % (wire::kControlBodyMax + 1));
        return mine.send(wire::FrameType::kControl, control);
      }
      case 2: {
        wire::Ack ack;
        ack.data_frames = input.number();
        ack.control_next = input.number();
        ack.credit = input.number();
        return mine.send(wire::FrameType::kAck, ack);
      }
      case 3:
        return mine.send(wire::FrameType::kPing, wire::Ping{input.number()});
      case 4:
        return mine.send(wire::FrameType::kPong, wire::Pong{input.number()});
      case 5:
        return mine.send(static_cast<wire::FrameType>(0x80 | input.byte()), wire::Ping{});
      case 6:
        return mine.send(static_cast<wire::FrameType>(input.byte()), wire::Ack{});
      case 7:
        return mine.send(wire::FrameType::kHello, wire::Hello{});
      default:
        return mine.send(wire::FrameType::kGoodbye, wire::Goodbye{input.byte(), "\x1b[2J"});
    }
  }
  BufferPool pool_;
  crypto::TlsContext victim_tls_, mine_tls_;
  Time now_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  Attack().run(Input(std::as_bytes(std::span(data, size))));
  return 0;
}
