#include "netsim/relay/udp_face.hpp"

#include <cerrno>
#include <utility>

namespace netsim::relay {
namespace {

constexpr std::size_t kDatagramMax = 65'536;
constexpr std::uint64_t kHeldMax = 1U << 30;  // bytes in the link; more are dropped and counted
constexpr std::size_t kFlowsMax = 10'000;     // a socket each
constexpr Duration kSilence = std::chrono::minutes(5);
constexpr int kTurn = 256;  // datagrams of one socket before others have their turn

}  // namespace

UdpFace::UdpFace(Core& core, Poller& poller, Address target, longhaul::Rng rng)
    : core_(core), poller_(poller), target_(target), rng_(rng), scratch_(kDatagramMax) {}

longhaul::Result<> UdpFace::listen(const Address& address) {
  socket_ = TRY(bind_datagram(address));
  poller_.add(socket_, Face::kDatagramIn, 0, /*level=*/true);
  return {};
}

UdpFace::Flow* UdpFace::flow_of(Time now, const Address& client) {
  const std::string key = client.key();
  if (const auto known = by_client_.find(key); known != by_client_.end()) {
    Flow& flow = flows_.at(known->second);
    flow.last = now;
    return &flow;
  }
  if (flows_.size() >= kFlowsMax) return nullptr;
  auto server = dial_datagram(target_);
  if (!server) return nullptr;
  const std::uint64_t id = next_flow_++;
  poller_.add(*server, Face::kDatagramOut, id, /*level=*/true);
  by_client_[key] = id;
  return &flows_.emplace(id, Flow{id, client, std::move(*server), now}).first->second;
}

void UdpFace::take(Time now, Direction d, std::uint64_t flow, std::size_t bytes) {
  if (held_bytes_ + bytes > kHeldMax) {
    ++overflow_;
    return;
  }
  if (free_.empty()) {
    free_.push_back(held_.size());
    held_.emplace_back();
  }
  const std::uint64_t handle = free_.back();
  free_.pop_back();
  held_[handle].flow = flow;
  held_[handle].bytes.assign(scratch_.begin(),
                             scratch_.begin() + static_cast<std::ptrdiff_t>(bytes));
  held_bytes_ += bytes;
  core_.on_datagram(now, d, static_cast<std::uint32_t>(bytes), handle);
}

void UdpFace::on_client_readable(Time now) {
  for (int i = 0; i < kTurn; ++i) {
    Address client;
    client.length = sizeof client.storage;
    const ssize_t got =
        recvfrom(socket_.get(), scratch_.data(), scratch_.size(), 0, client.get(), &client.length);
    if (got < 0) return;
    Flow* flow = flow_of(now, client);
    if (flow == nullptr) {
      ++overflow_;
      continue;
    }
    take(now, Direction::kUp, flow->id, static_cast<std::size_t>(got));
  }
}

void UdpFace::on_server_readable(Time now, std::uint64_t id) {
  const auto flow = flows_.find(id);
  if (flow == flows_.end()) return;
  for (int i = 0; i < kTurn; ++i) {
    const ssize_t got = recv(flow->second.server.get(), scratch_.data(), scratch_.size(), 0);
    if (got < 0) return;  // nothing more, or the server's port is closed: UDP does not care
    flow->second.last = now;
    take(now, Direction::kDown, id, static_cast<std::size_t>(got));
  }
}

void UdpFace::on_output(const Output& output) {
  if (output.what == Output::What::kDatagramLost) return release(output.handle);
  Held& held = held_[output.handle];
  const auto flow = flows_.find(held.flow);
  if (flow != flows_.end()) {
    if (output.corrupt && !held.bytes.empty()) {
      const std::uint64_t bit = rng_.below(held.bytes.size() * 8);
      held.bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    const bool up = output.direction == Direction::kUp;
    const Address& client = flow->second.client;
    const ssize_t put =
        up ? send(flow->second.server.get(), held.bytes.data(), held.bytes.size(), MSG_NOSIGNAL)
           : sendto(socket_.get(), held.bytes.data(), held.bytes.size(), MSG_NOSIGNAL, client.get(),
                    client.length);
    if (put < 0) ++send_failures_;
  }
  if (!output.duplicate) release(output.handle);
}

void UdpFace::release(std::uint64_t handle) {
  held_bytes_ -= held_[handle].bytes.size();
  held_[handle].bytes.clear();
  free_.push_back(handle);
}

void UdpFace::rebind() {
  for (auto& [id, flow] : flows_) {
    auto server = dial_datagram(target_);
    if (!server) continue;
    flow.server = std::move(*server);
    poller_.add(flow.server, Face::kDatagramOut, id, /*level=*/true);
  }
}

void UdpFace::expire(Time now) {
  for (auto flow = flows_.begin(); flow != flows_.end();) {
    if (now - flow->second.last < kSilence) {
      ++flow;
      continue;
    }
    by_client_.erase(flow->second.client.key());
    flow = flows_.erase(flow);
  }
}

}  // namespace netsim::relay
