#include "tests/sim/session_world.hpp"

#include <algorithm>
#include <cstring>

#include "lib/session/segment_guess.hpp"

namespace longhaul::test {

using namespace session;

namespace {
constexpr std::uint16_t kPort = 443, kUdpPort = 5000;

crypto::Identity identity_of(std::uint8_t number) {
  std::array<std::byte, crypto::Identity::kSecretBytes> secret{};
  secret.fill(static_cast<std::byte>(number));
  return crypto::Identity::from_entropy(secret);
}
datagram::Address address_of(netsim::Endpoint endpoint) {
  datagram::Address address;
  address.ip[10] = address.ip[11] = std::byte{0xff};
  store_be<std::uint32_t>(MutableBytes(address.ip).subspan(12), endpoint.address);
  address.port = endpoint.port;
  return address;
}
netsim::Endpoint endpoint_of(const datagram::Address& address) {
  return {load_be<std::uint32_t>(Bytes(address.ip).subspan(12)), address.port};
}
const crypto::TlsOptions kSeeded{.seeded = true};
}  // namespace

netsim::LinkConfig make_link(const LinkShape& shape) {
  netsim::LinkConfig link;
  const auto rate = BytesPerSecond::from_bits(shape.megabits * 1'000'000);
  for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
    way->rate = netsim::ConstantRate{rate};
    way->delay.base = shape.rtt / 2;
    if (shape.loss > 0) way->loss = netsim::BernoulliLoss{shape.loss};
    const auto bdp = static_cast<double>(rate.bytes_in(shape.rtt).value());
    way->queue.bytes_max =
        ByteCount(static_cast<std::uint64_t>(std::max(8.0 * 1500, bdp * shape.queue_bdp)));
  }
  return link;
}

Node::Node(netsim::Wan& wan, netsim::HostId host, const crypto::TlsContext& tls,
           const WorldOptions& options, std::uint64_t seed, BufferPool& buffers)
    : wan_(wan),
      host_(host),
      tls_(tls),
      options_(options),
      seed_(seed),
      buffers_(buffers),
      job_times_(seed, "jobs") {}

std::span<Service* const> Node::services_of_next() {
  ++life_;
  used_ = {make_service ? &make_service() : &service};
  if (make_second) used_.push_back(&make_second());
  return used_;
}

void Node::hand_out(HandOut work) {
  if (options_.job_time_max == Duration{}) {
    work.job.work->run();
    return session->on_job(clock(), work.service, std::move(work.job));
  }
  const auto shared = std::make_shared<HandOut>(std::move(work));
  const Duration span(static_cast<std::int64_t>(
      job_times_.below(static_cast<std::uint64_t>(options_.job_time_max.count()))));
  Service* const used = used_[shared->service.value()];
  wan_.clock().after(span, [this, shared, life = life_, deaths = deaths_, used] {
    if (deaths != deaths_) return;  // nothing runs in a process that was killed
    shared->job.work->run();
    if (life != life_ && make_service) return used->on_job(clock(), std::move(shared->job));
    if (life != life_ || session == nullptr) return;
    session->on_job(clock(), shared->service, std::move(shared->job));
    drain();
  });
}

void Node::note(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < bytes; ++i) output_hash = (output_hash ^ at[i]) * 0x100000001b3ULL;
}

void Node::listen(std::uint16_t port) {
  if (!listens_) wan_.bind(netsim::endpoint(host_, port), *this);
  listens_ = true;
  wan_.streams().listen(
      netsim::endpoint(host_, port), [this](Time, netsim::StreamId stream, netsim::Endpoint) {
        Connection& connection = connections_[stream.value()];
        connection.stream = stream;
        if (greeted_ == 0) connection.finish_after = options_.site_finishes_after;
        connection.greeter = std::make_unique<Greeter>(
            crypto::TlsEngine::server(tls_, buffers_, seed_ + ++greeted_), buffers_);
        return this;
      });
}

void Node::dial(netsim::Endpoint to, const crypto::Pin& peer) {
  peer_address_ = to;
  if (!std::exchange(dials_, true)) wan_.bind(netsim::endpoint(host_, kUdpPort), *this);
  SessionOptions session_options = options_.session;
  session_options.buffers = &buffers_;
  session_options.trace = trace;
  session_options.trace_payloads = trace_payloads;
  session =
      Session::dial(clock(), SessionKeys{&tls_, peer, seed_}, session_options, services_of_next());
  session->on_datagram_peer(clock(), address_of(to));
  drain();
}

void Node::on_datagram(Time now, const netsim::Datagram& datagram) {
  if (on_each_datagram) on_each_datagram(datagram);
  if (stopped_) {
    if (waiting_.size() < kSocketPackets) waiting_.push_back({now, datagram, {}, {}});
    return;
  }
  if (session == nullptr || asleep_since_.has_value() || reads_nothing_) return;
  session->on_datagrams(clock(), address_of(datagram.from), datagram.payload,
                        datagram.payload.size());
  drain();
}

void Node::stop_for(Duration span) {
  stopped_ = true;
  arm();
  wan_.clock().after(span, [this] {
    stopped_ = false;
    tick();
    while (!waiting_.empty()) {
      const Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      if (!next.datagram.has_value()) {
        on_bytes(wan_.now(), next.stream, next.bytes);
      } else if (session != nullptr) {
        session->on_datagrams(clock(), address_of(next.datagram->from), next.datagram->payload,
                              next.datagram->payload.size(), wan_.now() - next.at);
        drain();
      }
    }
  });
}

void Node::on_too_big(Time, netsim::Endpoint, std::uint32_t mtu_bytes) {
  if (session != nullptr) session->on_datagram_too_big(clock(), mtu_bytes - 28 + 1);
}

void Node::send_datagrams(const SendDatagrams& output) {
  for (std::size_t at = 0; at < output.bytes.size(); at += output.each_bytes) {
    const std::size_t bytes = std::min<std::size_t>(output.each_bytes, output.bytes.size() - at);
    ++datagrams_out;
    datagram_bytes_out += bytes + 28;
    if (options_.udp_blocked) continue;
    send_throttled({netsim::endpoint(host_, listens_ ? kPort : kUdpPort), endpoint_of(output.to),
                    output.bytes.part(at, bytes), netsim::Ecn::kNotEct});
  }
}

void Node::send_throttled(netsim::Datagram datagram) {
  if (!options_.udp_throttle) return wan_.send(std::move(datagram));
  const UdpThrottle& how = *options_.udp_throttle;
  const auto bytes = static_cast<std::uint32_t>(datagram.payload.size() + 28);
  if (how.queue == ByteCount(0)) {
    if (!udp_policer_) udp_policer_.emplace(netsim::PolicerConfig{how.rate, how.burst}, wan_.now());
    if (udp_policer_->admit(wan_.now(), bytes)) wan_.send(std::move(datagram));
    return;
  }
  udp_shaped_until_ = std::max(udp_shaped_until_, wan_.now());
  if (how.rate.bytes_in(udp_shaped_until_ - wan_.now()) > how.queue) return;
  udp_shaped_until_ += how.rate.time_for(ByteCount(bytes));
  wan_.clock().at(udp_shaped_until_, [this, late = std::move(datagram)] { wan_.send(late); });
}

void Node::sleep_for(Duration span) {
  if (asleep_since_.has_value()) return;
  asleep_since_ = clock();
  arm();
  wan_.clock().after(span, [this] {
    asleep_since_.reset();
    tick();
  });
}

void Node::forget_session() {
  ++deaths_;
  session.reset();
  cut_streams();
}

void Node::cut_streams() {
  std::vector<netsim::StreamId> all;
  for (auto& [id, connection] : connections_) all.push_back(connection.stream);
  for (netsim::StreamId stream : all) {
    Connection* connection = by_stream(stream);
    const auto path = connection->path;
    wan_.streams().close(stream);
    connections_.erase(stream.value());
    if (session != nullptr && path.has_value()) {
      session->on_stream_closed(clock(), *path, Error(Kind::kLink, "read", "cut by the test"));
    }
  }
  drain();
}

void Node::reset_one(PathRole role) {
  for (auto& [id, connection] : connections_) {
    if (!connection.path.has_value() || roles_[connection.path->value()] != role) continue;
    const PathId path = *connection.path;
    wan_.streams().close(connection.stream);
    connections_.erase(id);
    session->on_stream_closed(clock(), path, Error(Kind::kLink, "read", "reset by the test"));
    return drain();
  }
}

Node::Connection* Node::by_stream(netsim::StreamId stream) {
  const auto at = connections_.find(stream.value());
  return at == connections_.end() ? nullptr : &at->second;
}

Node::Connection* Node::by_path(PathId path) {
  for (auto& [id, connection] : connections_) {
    if (connection.path == path) return &connection;
  }
  return nullptr;
}

void Node::dial(const Dial& how_to) {
  ++dials;
  if (offline) {
    roles_[how_to.path.value()] = how_to.role;
    wan_.clock().after(100us, [this, path = how_to.path, life = life_] {
      if (life != life_ || session == nullptr) return;
      session->on_stream_closed(clock(), path, Error(Kind::kLink, "dial", "no route"));
      drain();
    });
    return;
  }
  const bool special = dials == 1 && options_.first_dial.has_value();
  netsim::StreamOptions how = special ? *options_.first_dial : options_.streams;
  if (how_to.small_segments)
    how.flow.mss_bytes = std::min(how.flow.mss_bytes, session::kSmallSegment);
  const netsim::StreamId stream = wan_.streams().dial(host_, peer_address_, *this, how);
  connections_[stream.value()].stream = stream;
  connections_[stream.value()].path = how_to.path;
  if (dials == 1) connections_[stream.value()].finish_after = options_.laptop_finishes_after;
  roles_[how_to.path.value()] = how_to.role;
}

void Node::apply(Output& output) {
  auto& streams = wan_.streams();
  if (auto* write = std::get_if<Write>(&output)) {
    note(write->bytes.data(), write->bytes.size());
    written_bytes += write->bytes.size();
    if (Connection* connection = by_path(write->path)) {
      connection->pending_bytes += write->bytes.size();
      connection->pending.push_back(std::move(write->bytes));
      flush(*connection);
    }
  } else if (auto* to_dial = std::get_if<Dial>(&output)) {
    dial(*to_dial);
  } else if (auto* close = std::get_if<Close>(&output)) {
    if (Connection* connection = by_path(close->path)) {
      connection->path.reset();
      connection->finish = close->finish;
      if (close->finish) {
        flush(*connection);
      } else {
        const netsim::StreamId stream = connection->stream;
        streams.close(stream);
        connections_.erase(stream.value());
      }
    }
  } else if (auto* how = std::get_if<Tune>(&output)) {
    if (Connection* connection = by_path(how->path)) {
      connection->unsent_max = how->unsent_max_bytes;
      connection->pacing = how->pacing;
    }
  } else if (auto* sample = std::get_if<Sample>(&output)) {
    ++samples;
    Connection* connection = by_path(sample->path);
    if (connection == nullptr || !options_.give_path_info) return;
    const netsim::StreamInfo info = streams.info(connection->stream);
    PathInfo path_info;
    path_info.rtt = info.smoothed_rtt;
    path_info.bytes_retransmitted = info.retransmissions * 1448;
    path_info.bytes_delivered = info.delivered_bytes;
    path_info.bytes_sent = connection->taken_bytes + path_info.bytes_retransmitted;
    path_info.cwnd_packets = static_cast<std::uint32_t>(info.window_bytes / 1448);
    session->on_path_info(clock(), sample->path, path_info);
  } else if (auto* job = std::get_if<HandOut>(&output)) {
    hand_out(std::move(*job));
  } else if (auto* datagrams = std::get_if<SendDatagrams>(&output)) {
    note(datagrams->bytes.data(), datagrams->bytes.size());
    send_datagrams(*datagrams);
  } else if (auto* event = std::get_if<Event>(&output)) {
    events.emplace_back(wan_.now(), *event);
    const std::size_t kind = event->index();
    note(&kind, sizeof kind);
  }
}

void Node::drain() {
  if (draining_) {
    again_ = true;
    return;
  }
  draining_ = true;
  do {
    again_ = false;
    if (session == nullptr || stopped_ || asleep_since_.has_value()) break;
    session->on_service(clock());
    offer_room();
    while (auto output = session->poll_output()) apply(*output);
    if (options_.check_every_step) {
      session->check();
      for (const Service* used : used_) used->check();
    }
  } while (again_);
  draining_ = false;
  arm();
}

void Node::arm() {
  wan_.clock().cancel(wake_);
  wake_ = {};
  if (session == nullptr || stopped_ || asleep_since_.has_value()) return;
  if (const auto at = session->next_deadline()) {
    // By the world's clock; a microsecond late rather than early where ours drifts.
    const Duration passed = wan_.now() - Time{};
    const Duration ahead = clock() - wan_.now();
    const Duration late = clock_ppm == 0 ? Duration{} : Duration(1us) + passed / 1'000'000;
    wake_ = wan_.clock().at(std::max(wan_.now(), *at - ahead + late), [this] { tick(); });
  }
  const bool any = std::any_of(connections_.begin(), connections_.end(), [](const auto& held) {
    return held.second.path.has_value() || !held.second.pending.empty();
  });
  if (beat_ != netsim::TimerId{} || !any) return;
  const Status status = session->status();
  if (status.queued_bytes > 0 || status.unacked_bytes > 0) {
    beat_ = wan_.clock().after(kSocketBeat, [this] {
      beat_ = {};
      for (auto at = connections_.begin(); at != connections_.end();) {
        Connection& connection = (at++)->second;
        flush(connection);
      }
      drain();
    });
  }
}

void Node::tick() {
  wake_ = {};
  ++wakes;
  if (session == nullptr || stopped_) return;
  session->on_deadline(clock());
  drain();
}

SessionWorld::SessionWorld(std::uint64_t seed, WorldOptions how)
    : options(std::move(how)),
      wan(seed),
      laptop_tls(identity_of(1), kSeeded),
      site_tls(identity_of(2), kSeeded),
      laptop_host(wan.add_host("laptop")),
      site_host(wan.add_host("site")),
      link(wan.connect(laptop_host, site_host, make_link(options.link))),
      laptop(wan, laptop_host, laptop_tls, options, seed * 1000, buffers),
      site(wan, site_host, site_tls, options, seed * 1000 + 500, buffers) {
  site.admitted.push_back(laptop_tls.pin());
}

void SessionWorld::start() {
  site.listen(kPort);
  redial();
}

void SessionWorld::redial() {
  laptop.dial(netsim::endpoint(site_host, kPort), site_tls.pin());
}

bool SessionWorld::established() const {
  return laptop.session != nullptr && laptop.session->status().established;
}

}  // namespace longhaul::test
