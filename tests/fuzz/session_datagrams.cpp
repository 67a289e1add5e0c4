// The datagram path of an accepting Session under attack: a peer whose key it knows sends any
// frames in any packets, and somebody on the way changes, repeats, cuts and forges them, from any
// address. No input may break an invariant; what the session holds stays bounded; an address that
// is not proven gets at most three times what came from it, and a stranger nothing. One input byte
// picks what happens, the next ones its fields.
#include <map>
#include <vector>

#include "lib/wire/datagram.hpp"
#include "tests/fuzz/hostile.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::fuzz;
using datagram::FrameType;
using wire::DatagramFrame;

constexpr std::size_t kHosts = 4;
constexpr std::uint8_t kStranger = 3;  // nothing of the peer's ever comes from there
constexpr std::size_t kSeenMax = 64;

datagram::Address host(std::size_t number) {
  datagram::Address address;
  address.ip[10] = address.ip[11] = std::byte{0xff};
  address.ip[15] = static_cast<std::byte>(number);
  address.port = static_cast<std::uint16_t>(1000 + number % 2);
  return address;
}

class Attack {
 public:
  Attack()
      : victim_tls_(identity_of(1), {.seeded = true}),
        mine_tls_(identity_of(2), {.seeded = true}) {}

  void run(Input input) {
    StreamPath mine(crypto::TlsEngine::client(mine_tls_, pool_, victim_tls_.pin(), 1), pool_);
    Greeter greeter(crypto::TlsEngine::server(victim_tls_, pool_, 2), pool_);
    while (!mine.secured()) {
      for (Slice out = mine.take_output(); !out.empty(); out = mine.take_output())
        ASSERT(greeter.on_stream(Time{}, out).has_value());
      while (auto out = greeter.poll_output()) ASSERT(mine.feed(*out).has_value());
    }
    wire::Hello hello;
    hello.capabilities = kCapabilityDatagrams;
    mine.send(wire::FrameType::kHello, hello);
    for (Slice out = mine.take_output(); !out.empty(); out = mine.take_output())
      ASSERT(greeter.on_stream(Time{}, out).has_value());
    Sink sink;
    Service* services[] = {&sink};
    SessionOptions options;
    options.buffers = &pool_;
    options.window_bytes = 8U << 20;
    options.datagrams = true;
    options.datagram_limits = datagram::KeyLimits{64, 1U << 16, 64};
    PathId path;
    const Association association = associate(mine);
    Arrival arrival = greeter.take();
    auto session = Session::accept(now_, arrival, options, services, &path);
    keys_ = epoch_keys(mine, association.token, 0, true, false);
    peer_.emplace(keys_, *options.datagram_limits);
    if (input.byte() % 2 == 0) {  // no connection left: datagrams alone carry the session
      session->on_stream_closed(now_, path, Error(Kind::kLink, "read", "closed"));
    }
    while (!input.empty()) {
      act(*session, input);
      now_ += Duration(static_cast<std::int64_t>(input.byte()) * (input.byte() % 8) * 1'000'000);
      const auto due = session->next_deadline();
      if (due.has_value() && *due <= now_) session->on_deadline(now_);
      drain(*session);
      ASSERT(session->status().partial_bytes <= options.window_bytes);
    }
  }

 private:
  void act(Session& session, Input& input) {
    const std::size_t from = input.byte() % (kHosts - 1);
    switch (input.byte() % 6) {
      case 0:
      case 1:
      case 2:
        return send(session, from, packet(input));
      case 3: {  // one of before, as it was, or not
        if (seen_.empty()) return;
        ByteVector one = seen_[input.byte() % seen_.size()];
        const std::size_t at = input.number() % one.size();
        if (input.byte() % 3 == 0) one[at] ^= static_cast<std::byte>(1U << (input.byte() % 8));
        if (input.byte() % 3 == 0) one.resize(at);
        return hand_over(session, input.byte() % 2 == 0 ? from : kStranger, one);
      }
      case 4: {  // forged under our connection id
        ByteVector noise(input.number() % 1500);
        for (std::byte& each : noise) each = static_cast<std::byte>(input.byte());
        if (noise.size() > 9) {
          noise[0] = std::byte{0x43};
          std::copy(keys_.send_id.begin(), keys_.send_id.end(), noise.begin() + 1);
        }
        return hand_over(session, kStranger, noise);
      }
      default:
        session.on_datagrams_blocked(now_, input.byte() % 4 == 0);
        if (input.byte() % 8 == 0) session.on_datagram_too_big(now_, input.number() % 2000);
    }
  }

  // A packet of the peer's own.
  ByteVector packet(Input& input) {
    ByteVector frames(1400);
    std::size_t used = 0;
    for (int count = 1 + input.byte() % 4; count > 0; --count) {
      wire::Writer counter;
      const Input before = input;
      Input again = input;
      put_frame(counter, again);
      if (counter.size() > frames.size() - used) break;
      wire::Writer out(MutableBytes(frames).subspan(used, counter.size()));
      input = before;
      put_frame(out, input);
      used += counter.size();
    }
    frames.resize(std::max(used, datagram::kFramesBytesMin));
    if (!peer_->may_seal()) return {};
    const std::size_t header = peer_->header_bytes();
    ByteVector sealed(header + frames.size() + crypto::kTagBytes);
    std::copy(frames.begin(), frames.end(), sealed.begin() + static_cast<std::ptrdiff_t>(header));
    const auto number = peer_->seal(now_, sealed);
    if (input.byte() % 2 == 0) peer_->on_acked(number);
    return sealed;
  }

  static void put_frame(wire::Writer& out, Input& input) {
    const auto owner = [&out](DatagramFrame type, const auto& message) {
      out.byte(static_cast<std::uint8_t>(type));
      wire::Codec<std::decay_t<decltype(message)>>::put(out, message);
    };
    switch (input.byte() % 9) {
      case 0:
        return put_ack(out, input);
      case 1:
        return out.byte(static_cast<std::uint8_t>(FrameType::kPing));
      case 2:
      case 3:
        return put_token(out, input);
      case 4: {
        wire::Data data;
        data.message = input.number();
        data.offset = static_cast<std::uint32_t>(input.number());
        data.total = static_cast<std::uint32_t>(input.number());
        data.lane = input.byte() % 8;
        data.service = input.byte() % 4 == 0 ? 1 : 0;
        data.key = input.byte();
        data.payload = body_of(input.number() % 1200);
        return owner(DatagramFrame::kData, data);
      }
      case 5: {
        wire::Control control;
        control.number = input.number();
        control.body = body_of(input.number() % (wire::kControlBodyMax + 1));
        return owner(DatagramFrame::kControl, control);
      }
      case 6:
        return owner(input.byte() % 2 == 0 ? DatagramFrame::kWindow : DatagramFrame::kWindowNews,
                     wire::Window{input.number(), input.number()});
      case 7: {
        if (input.byte() % 8 != 0) return out.byte(0);
        return owner(DatagramFrame::kGoodbye, wire::Goodbye{input.byte(), "\x1b[2J"});
      }
      default:
        out.byte(input.byte());
        out.fixed<std::uint16_t>(input.byte());
    }
  }
  static void put_ack(wire::Writer& out, Input& input) {
    datagram::AckFrame ack;
    ack.range_count = 1 + input.byte() % 3;
    std::uint64_t top =
        input.byte() % 4 == 0 ? input.number() % datagram::kPacketNumberMax : input.byte() % 16;
    for (std::size_t i = 0; i < ack.range_count; ++i) {
      const std::uint64_t run = input.byte() % 8;
      ack.ranges[i] = {top - std::min(top, run), top};
      if (ack.ranges[i].first < 2) {
        ack.range_count = i + 1;
        break;
      }
      top = ack.ranges[i].first - 2;
    }
    ack.held = Duration(static_cast<std::int64_t>(input.number() % (1ULL << 52)));
    ack.received = Duration(static_cast<std::int64_t>(input.number() % (1ULL << 52)));
    ack.time_count = input.byte() % (datagram::kAckTimesMax + 1);
    for (std::size_t i = 0; i < ack.time_count; ++i)
      ack.earlier_us[i] = static_cast<std::int64_t>(input.number() % (1ULL << 40)) - 1000;
    write(out, ack);
  }
  static void put_token(wire::Writer& out, Input& input) {
    datagram::Token token{};
    token[0] = static_cast<std::byte>(input.byte());
    out.byte(static_cast<std::uint8_t>(input.byte() % 2 == 0 ? FrameType::kChallenge
                                                             : FrameType::kResponse));
    out.raw(token);
  }

  void send(Session& session, std::size_t from, const ByteVector& bytes) {
    if (bytes.empty()) return;
    if (seen_.size() < kSeenMax) seen_.push_back(bytes);
    hand_over(session, from, bytes);
  }
  void hand_over(Session& session, std::size_t from, const ByteVector& bytes) {
    came_from_[from] += bytes.size();
    session.on_datagrams(now_, host(from), Slice::copy_of(bytes), bytes.size());
    drain(session);
  }
  void drain(Session& session) {
    while (auto output = session.poll_output()) {
      const auto* sent = std::get_if<SendDatagrams>(&*output);
      if (sent == nullptr) continue;
      const auto number = std::to_integer<std::size_t>(sent->to.ip[15]);
      ASSERT(number < kStranger);
      went_to_[number] += sent->bytes.size();
      // No address is ever proven here: challenges go unanswered.
      ASSERT(went_to_[number] <= 3 * came_from_[number]);
    }
    session.check();
  }

  BufferPool pool_;
  crypto::TlsContext victim_tls_, mine_tls_;
  Time now_{};
  datagram::EpochKeys keys_;
  std::optional<datagram::Protection> peer_;
  std::vector<ByteVector> seen_;
  std::map<std::size_t, std::uint64_t> came_from_, went_to_;  // bytes, by host
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  Attack().run(Input(std::as_bytes(std::span(data, size))));
  return 0;
}
