#include "tests/wire/catalogue.hpp"

namespace longhaul::wire {
namespace {

template <std::size_t N>
std::array<std::byte, N> counting(unsigned first) {
  std::array<std::byte, N> bytes;
  for (std::size_t i = 0; i < N; ++i) bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

Hello begin_hello() {
  Hello hello;
  hello.capabilities = 5;
  hello.required = 1;
  hello.credit = 64U << 20;
  return hello;
}

Hello join_hello() {
  Hello hello = begin_hello();
  hello.intent = Intent::kJoin;
  hello.role = 1;
  hello.session = counting<16>(0x10);
  hello.proof = counting<32>(0x40);
  hello.control_next = 300;
  hello.credential = Blob<kCredentialMax>(2, std::byte{0xcc});
  return hello;
}

Data some_data() {
  Data data;
  data.message = 70'000;
  data.offset = 15'360;
  data.total = 15'365;
  data.lane = 4;
  data.service = 2;
  data.key = 9;
  data.payload = Slice::copy_of("bytes");
  return data;
}

Control some_control() {
  Control control;
  control.number = 128;
  control.service = 1;
  control.body = Slice::copy_of("pause");
  return control;
}

}  // namespace

std::vector<GoldenBytes> all_golden() {
  std::vector<GoldenBytes> all = {
      golden_frame("begin", FrameType::kHello, begin_hello()),
      golden_frame("join", FrameType::kHello, join_hello()),
      golden_frame("first", FrameType::kAccept, Accept{1, 5, 0, 64U << 20}),
      golden_frame("version", FrameType::kRefuse, Refuse{Refusal::kVersion}),
      golden_frame("bulk", FrameType::kData, some_data()),
      golden_frame("pause", FrameType::kControl, some_control()),
      golden_frame("early", FrameType::kAck, Ack{3, 1, (64U << 20) + 4096}),
      golden_frame("one", FrameType::kPing, Ping{1}),
      golden_frame("one", FrameType::kPong, Pong{1}),
      golden_frame("interrupted", FrameType::kGoodbye, Goodbye{16, "the user stopped it"}),
      golden_frame("laptop", FrameType::kJoin, Join{1, counting<32>(1), "laptop"}),
      golden_frame("observer", FrameType::kJoined,
                   Joined{Role::kObserver, counting<32>(0x80), "asuncion"}),
      golden_frame("second", FrameType::kEpoch, Epoch{1}),
      golden_frame("background", FrameType::kMode, Mode{SendMode::kBackground}),
      golden_message("early", Window{1, (64U << 20) + 4096}),
  };
  for (GoldenBytes& one : transfer_golden()) all.push_back(std::move(one));
  for (GoldenBytes& one : feed_golden()) all.push_back(std::move(one));
  for (GoldenBytes& one : probe_golden()) all.push_back(std::move(one));
  return all;
}

}  // namespace longhaul::wire
