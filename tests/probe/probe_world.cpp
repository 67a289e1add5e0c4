#include "tests/probe/probe_world.hpp"

#include <algorithm>

namespace longhaul::test {
namespace {

constexpr Duration kMessageTime = 100ms;
constexpr std::uint16_t kPort = 443;
constexpr Duration kRunMost = 5min;
constexpr std::uint16_t kOwnPort = 5000;

datagram::Address address_of(const netsim::Endpoint& at) {
  datagram::Address out;
  out.ip[10] = out.ip[11] = std::byte{0xff};
  store_le<std::uint32_t>(MutableBytes(out.ip).subspan(12, 4), at.address);
  out.port = at.port;
  return out;
}

netsim::Endpoint endpoint_of(const datagram::Address& at) {
  return {load_le<std::uint32_t>(Bytes(at.ip).subspan(12, 4)), at.port};
}

crypto::Digest seed_digest(std::uint64_t seed) {
  crypto::Digest out;
  Rng(seed, "probe seed").fill(out.writable());
  return out;
}

}  // namespace

// One end: what the shell is to it.
struct ProbeWorld::End final : netsim::DatagramUser {
  // its_service: null for a quiet port.
  End(ProbeWorld& all, session::Service* its_service, probe::Packets& its_packets,
      netsim::Endpoint here, Duration ahead)
      : world(all), service(its_service), packets(its_packets), own(here), clock_ahead(ahead) {
    world.wan_.bind(own, *this);
  }
  ~End() override { world.wan_.unbind(own); }

  Time clock() const { return world.wan_.now() + clock_ahead; }
  void drain() {
    const Time now = clock();
    while (auto batch = packets.poll_batch(now)) send(*batch);
    if (service == nullptr) return wake();
    session::Room room;
    std::fill(std::begin(room.bytes), std::end(room.bytes), std::size_t{1} << 20);
    while (auto output = service->poll_output(now, room)) {
      auto& message = std::get<session::Message>(*output);
      if (world.options_.lose_message && world.options_.lose_message(message.body)) continue;
      world.wan_.clock().after(kMessageTime, [this, message] {
        other->service->on_message(other->clock(), message.lane, message.body);
        other->drain();
      });
    }
    service->check();
    wake();
    if (this == world.near_.get()) {
      for (const auto& quiet : world.quiet_) quiet->drain();
    }
  }
  void send(const probe::Batch& batch) {
    for (std::size_t at = 0; at < batch.bytes.size(); at += batch.each_bytes) {
      const std::size_t size = std::min<std::size_t>(batch.each_bytes, batch.bytes.size() - at);
      (own.port == kPort ? world.sent_bytes_down : world.sent_bytes_up) += size;
      const netsim::Endpoint to = endpoint_of(batch.to);
      const auto& lose = world.options_.lose_datagram;
      if (world.options_.udp_blocked || (lose && lose(to))) continue;
      world.wan_.send({own, to, batch.bytes.part(at, size), {}});
    }
  }
  void on_datagram(netsim::Time, const netsim::Datagram& datagram) override {
    packets.on_datagrams(clock(), address_of(datagram.from), datagram.payload,
                         datagram.payload.size(), {});
    drain();
    if (service == nullptr) world.near_->wake();
  }
  void wake() {
    std::optional<Time> next;
    if (service != nullptr) next = service->next_deadline();
    if (const auto at = packets.next_send(clock())) next = next ? std::min(*next, *at) : *at;
    if (!next) return;
    const std::uint64_t turn = ++turns;
    const Duration span = std::max(*next - clock(), Duration{1});
    world.wan_.clock().after(span, [this, turn] {
      if (turn != turns) return;  // something came before
      if (service != nullptr) service->on_deadline(clock());
      drain();
    });
  }

  ProbeWorld& world;
  session::Service* service;
  probe::Packets& packets;
  netsim::Endpoint own;
  Duration clock_ahead;
  End* other = nullptr;
  std::uint64_t turns = 0;
};

ProbeWorld::ProbeWorld(std::uint64_t seed, const netsim::LinkConfig& link,
                       ProbeWorldOptions options)
    : wan_(seed),
      laptop_(wan_.add_host("laptop")),
      cluster_(wan_.add_host("site")),
      options_(std::move(options)) {
  const netsim::LinkId link_id = wan_.connect(laptop_, cluster_, link);
  if (options_.nat_idle) wan_.forget_idle_mappings(link_id, *options_.nat_idle);
  options_.prober.buffers = &pool_;
  options_.prober.seed = seed_digest(seed);
  prober_ = std::make_unique<probe::Prober>(options_.prober);
  probe::ProbeSiteOptions site;
  site.gate = &gate_;
  site.buffers = &pool_;
  site.observer = options_.observer;
  site.secret = seed_digest(seed + 1);
  site_ = std::make_unique<probe::ProbeSite>(site);
  const auto here = netsim::endpoint(laptop_, kOwnPort), there = netsim::endpoint(cluster_, kPort);
  near_ = std::make_unique<End>(*this, prober_.get(), *prober_, here, Duration{});
  far_ = std::make_unique<End>(*this, site_.get(), *site_, there, options_.clocks_apart);
  near_->other = far_.get();
  far_->other = near_.get();
  for (const auto& port : prober_->quiet_ports()) {
    const auto own = static_cast<std::uint16_t>(kOwnPort + 1 + quiet_.size());
    quiet_.push_back(
        std::make_unique<End>(*this, nullptr, *port, netsim::endpoint(laptop_, own), Duration{}));
  }
}

ProbeWorld::~ProbeWorld() {
  quiet_.clear();
  near_.reset();
  far_.reset();
}

void ProbeWorld::start() {
  prober_->start(wan_.now(), address_of(netsim::endpoint(cluster_, kPort)));
  near_->drain();
}

bool ProbeWorld::run() {
  start();
  return run_on();
}

bool ProbeWorld::run_on() {
  return wan_.run_until([this] { return prober_->finished(); }, kRunMost);
}

probe::Figures ProbeWorld::figures() {
  probe::Figures out = probe::estimate(prober_->samples());
  out.mtu_bytes = prober_->mtu_bytes();
  return out;
}

namespace {

struct Pinger final : netsim::DatagramUser {
  explicit Pinger(netsim::Wan& net) : wan(net) {}
  void on_datagram(netsim::Time now, const netsim::Datagram& datagram) override {
    if (datagram.to.port == kPort) {
      wan.send({datagram.to, datagram.from, datagram.payload, {}});
      return;
    }
    const auto sent = load_le<std::uint64_t>(datagram.payload.bytes().first(8));
    rtts.push_back(
        static_cast<double>(now.time_since_epoch().count() - static_cast<std::int64_t>(sent)) /
        1e6);
  }
  netsim::Wan& wan;
  std::vector<double> rtts;
};

}  // namespace

IdleRtt idle_rtt(std::uint64_t seed, const netsim::LinkConfig& link, std::uint32_t ip_bytes) {
  constexpr int kPings = 4000;
  netsim::Wan wan(seed);
  const auto a = wan.add_host("a"), b = wan.add_host("b");
  wan.connect(a, b, link);
  Pinger pinger(wan);
  const auto here = netsim::endpoint(a, kOwnPort), there = netsim::endpoint(b, kPort);
  wan.bind(here, pinger);
  wan.bind(there, pinger);
  for (int i = 0; i < kPings; ++i) {
    wan.clock().after(i * 20ms, [&wan, here, there, ip_bytes] {
      ByteVector bytes(ip_bytes - 28);
      store_le<std::uint64_t>(MutableBytes(bytes).first(8),
                              static_cast<std::uint64_t>(wan.now().time_since_epoch().count()));
      wan.send({here, there, Slice::copy_of(bytes), {}});
    });
  }
  wan.run_for(kPings * 20ms + 5s);
  std::sort(pinger.rtts.begin(), pinger.rtts.end());
  return {pinger.rtts.front(), pinger.rtts[pinger.rtts.size() / 2]};
}

}  // namespace longhaul::test
