// How simulated connections begin and end; streams.cpp has what happens between.
#include <algorithm>

#include "netsim/streams.hpp"

namespace netsim {
namespace {

using What = WirePacket::What;
using namespace std::chrono_literals;

constexpr int kBackoffMax = 6;

}  // namespace

void Streams::send_syn(Connection& c, std::uint32_t number) {
  send_control(c, number, 0, What::kSyn);
  const Duration wait = 1s * (1 << std::min(c.dial_tries++, kBackoffMax));
  c.ends[0].timer_at = wan_.now() + wait;
  c.ends[0].timer = wan_.clock().after(wait, [this, number] { on_timer(number, 0); });
}

void Streams::on_syn(const WirePacket& packet) {
  Connection& c = *connections_[packet.connection];
  End& end = c.ends[1];
  if (end.state == State::kGone) {
    const bool reached_before = end.local != Endpoint{};
    if (reached_before || !listeners_.contains(packet.to)) return send_reset_to(packet);
    end.state = State::kAnswering;
    end.local = packet.to;
    end.peer = packet.from;
  }
  // A repeated SYN, from the same place: our answer was lost.
  if (end.peer == packet.from) send_control(c, packet.connection, 1, What::kSynAck);
}

void Streams::on_syn_ack(Connection& c, const WirePacket& packet) {
  End& end = c.ends[0];
  if (end.state == State::kDialling) {
    end.state = State::kOpen;
    wan_.clock().cancel(end.timer);
    end.timer = TimerId{};
    if (c.dial_tries == 1) c.flows[0].seed_rtt(wan_.now() - c.dialled);
    send_ack(c, packet.connection, 0);
    end.user->on_connected(wan_.now(), id_of(packet.connection, 0));
    return pump(c, packet.connection, 0);
  }
  send_ack(c, packet.connection, 0);  // our answer to the first one was lost
}

void Streams::establish(Connection& c, std::uint32_t number) {
  End& end = c.ends[1];
  const auto listener = listeners_.find(end.local);
  const StreamId id = id_of(number, 1);
  end.state = State::kOpen;
  if (listener != listeners_.end()) {
    const Acceptor accept = listener->second;  // it may stop listening from within
    end.user = accept(wan_.now(), id, end.peer);
  }
  if (end.user != nullptr || end.state == State::kGone) return pump(c, number, 1);
  send_control(c, number, 1, What::kReset);
  vanish(c, number, 1);
}

void Streams::try_finished(Connection& c, std::uint32_t number) {
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const End& end = c.ends[side];
    if (end.state == State::kOpen && end.told_end && c.flows[side].all_acked())
      this->end(c, number, side, CloseReason::kFinished);
  }
}

void Streams::end(Connection& c, std::uint32_t number, std::size_t side, CloseReason reason) {
  StreamUser* user = c.ends[side].user;
  vanish(c, number, side);
  c.ends[side].finished = reason == CloseReason::kFinished;
  if (user != nullptr) user->on_closed(wan_.now(), id_of(number, side), reason);
}

void Streams::vanish(Connection& c, std::uint32_t number, std::size_t side) {
  End& end = c.ends[side];
  if (end.state == State::kGone) return;
  end.state = State::kGone;
  end.user = nullptr;
  wan_.clock().cancel(end.timer);
  end.timer = TimerId{};
  if (c.ends[1 - side].state == State::kGone) graves_.push_back(number);
}

void Streams::crash(HostId host) {
  std::erase_if(listeners_,
                [&](const auto& entry) { return wan_.host_of(entry.first.address) == host; });
  for (std::uint32_t number = 0; number < connections_.size(); ++number) {
    Connection* c = connections_[number].get();
    if (c == nullptr) continue;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}})
      if (c->ends[side].local.address == address_of(host)) vanish(*c, number, side);
  }
}

void Streams::bury() {
  for (const std::uint32_t number : graves_) connections_[number].reset();
  graves_.clear();
}

}  // namespace netsim
