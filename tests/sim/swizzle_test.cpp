// L14: five laptops push to one site at once, each over a link of its own, while the links of a
// random few of them stop one after the other and come back in another order. The site's store is
// one: what one peer suffers must not cost another its push. Over TLS, and with datagrams.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "lib/store/audit.hpp"
#include "tests/sim/session_world.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

constexpr std::size_t kPeers = 5;
constexpr std::uint16_t kPort = 443;
constexpr session::ChoiceReason kNoDatagrams = session::ChoiceReason::kNone;
constexpr Duration kHealed = 30s;  // all is done so long after the last link came back

class Swizzle {
 public:
  Swizzle(std::uint64_t seed, bool datagrams)
      : rng_(seed, "swizzle"),
        wan_(seed),
        laptop_tls_(key(1), {.seeded = true}),
        site_tls_(key(2), {.seeded = true}),
        disk_(std::make_shared<sim::CrashFiles>()),
        root_(*store::Root::open(*disk_)),
        host_(*root_, index_, transfer::SiteRights()) {
    wan_.checking(true);
    options_.job_time_max = 5ms;
    options_.session.datagrams = datagrams;
    for (std::size_t i = 0; i < kPeers; ++i) add_peer(seed * 100 + i, i);
  }
  ~Swizzle() {
    for (Peer& peer : peers_) {
      peer.laptop->session.reset();
      peer.site->session.reset();
    }
  }

  // Empty, or what is wrong.
  std::string run() {
    for (Peer& peer : peers_) {
      peer.site->listen(kPort);
      peer.laptop->dial(netsim::endpoint(peer.site_host, kPort), site_tls_.pin());
      transfer::Exchange::PushOptions options;
      options.dataset = peer.dataset;
      peer.exchange->start_push(peer.laptop->clock(), options, source_of(peer.disk, "src", false),
                                {});
      peer.laptop->drain();
    }
    const Time healed = schedule_stops();
    wan_.run_until([&] { return all_ended(); }, healed - Time{} + kHealed);
    for (Peer& peer : peers_) {
      if (std::string wrong = judge(peer); !wrong.empty()) return peer.dataset + ": " + wrong;
    }
    return {};
  }

 private:
  struct Peer {
    netsim::HostId laptop_host, site_host;
    netsim::LinkId link;
    std::string dataset;
    std::shared_ptr<sim::CrashFiles> disk;
    std::unique_ptr<transfer::Exchange> exchange, answering;
    std::unique_ptr<Node> laptop, site;
    std::optional<transfer::Finished> end;
  };

  static crypto::Identity key(unsigned number) {
    std::array<std::byte, 32> entropy{};
    entropy[0] = static_cast<std::byte>(number);
    return crypto::Identity::from_entropy(entropy);
  }

  void add_peer(std::uint64_t seed, std::size_t number) {
    Peer& peer = peers_.emplace_back();
    LinkShape shape;
    shape.rtt = Duration(static_cast<std::int64_t>(rng_.between(20, 250)) * 1ms);
    shape.megabits = rng_.between(5, 100);
    peer.laptop_host = wan_.add_host("laptop" + std::to_string(number));
    peer.site_host = wan_.add_host("site" + std::to_string(number));
    peer.link = wan_.connect(peer.laptop_host, peer.site_host, make_link(shape));
    peer.dataset = "data" + std::to_string(number);
    peer.disk = std::make_shared<sim::CrashFiles>();
    put_random_tree(*peer.disk, "src", rng_, 2U << 20);
    peer.exchange = std::make_unique<transfer::Exchange>(transfer::Side::kDialer, nullptr,
                                                         transfer::ExchangeOptions{});
    peer.answering = std::make_unique<transfer::Exchange>(transfer::Side::kListener, &host_,
                                                          transfer::ExchangeOptions{});
    peer.laptop =
        std::make_unique<Node>(wan_, peer.laptop_host, laptop_tls_, options_, seed * 2, buffers_);
    peer.site =
        std::make_unique<Node>(wan_, peer.site_host, site_tls_, options_, seed * 2 + 1, buffers_);
    peer.site->admitted.push_back(laptop_tls_.pin());
    peer.laptop->make_service = [&peer]() -> session::Service& { return *peer.exchange; };
    peer.site->make_service = [&peer]() -> session::Service& { return *peer.answering; };
  }

  std::vector<std::size_t> some_in_any_order() {
    std::vector<std::size_t> some;
    for (std::size_t i = 0; i < kPeers; ++i)
      some.insert(some.begin() + static_cast<std::ptrdiff_t>(rng_.below(some.size() + 1)), i);
    some.resize(rng_.between(1, kPeers));
    return some;
  }

  // Two rounds of it; returns when the last link is back.
  Time schedule_stops() {
    Duration at{};
    for (int round = 0; round < 2; ++round) {
      std::vector<std::size_t> chosen = some_in_any_order();
      std::vector<Duration> stops;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        at += Duration(static_cast<std::int64_t>(rng_.below(800)) * 1ms);
        stops.push_back(at);
      }
      at += 1s;
      std::vector<std::size_t> order(chosen.size());  // of coming back
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng_.below(i)]);
      for (const std::size_t i : order) {
        at += Duration(static_cast<std::int64_t>(rng_.below(4000)) * 1ms);
        const netsim::LinkId link = peers_[chosen[i]].link;
        const Duration length = at - stops[i];
        wan_.clock().after(stops[i],
                           [this, link, length] { wan_.apply(link, netsim::Outage{length}); });
      }
    }
    return wan_.now() + at;
  }

  bool all_ended() {
    for (Peer& peer : peers_)
      while (auto event = peer.exchange->poll_event())
        if (auto* one = std::get_if<transfer::Finished>(&*event)) peer.end = std::move(*one);
    return std::all_of(peers_.begin(), peers_.end(),
                       [](const Peer& peer) { return peer.end.has_value(); });
  }

  std::string judge(const Peer& peer) {
    if (!peer.end) return "not done 30 s after all links were back";
    if (peer.end->error) return peer.end->error->message();
    if (options_.session.datagrams == (peer.laptop->session->status().choice == kNoDatagrams))
      return "not by the path that was meant";
    const auto name = store::DatasetName::parse(peer.dataset);
    const auto tree = root_->tree(*name, store::VersionNo(1));
    if (!tree) return tree.error().message();
    if (tree->root() != tree_of(*source_of(peer.disk, "src", true)).root()) return "another tree";
    store::Audit audit(*disk_, *tree, store::Root::folder_of(*name, store::VersionNo(1)));
    while (audit.step(1U << 30) == store::Audit::Progress::kMore) {
    }
    return audit.damaged() > 0 ? "a published file is wrong" : "";
  }

  Rng rng_;
  WorldOptions options_;
  BufferPool buffers_;
  netsim::Wan wan_;
  crypto::TlsContext laptop_tls_, site_tls_;
  std::shared_ptr<sim::CrashFiles> disk_;
  std::unique_ptr<store::Root> root_;
  store::MemoryIndex index_;
  transfer::SiteHost host_;
  std::deque<Peer> peers_;
};

void expect_survived(bool datagrams) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Swizzle world(seed, datagrams);
    ASSERT_EQ(world.run(), "") << "seed " << seed;
  }
}

TEST(ProductFaults, L14FivePeersWhoseLinksStopOneByOne) {
  expect_survived(false);
}
TEST(DatagramFault, L14FivePeersWhoseLinksStopOneByOne) {
  expect_survived(true);
}

}  // namespace
}  // namespace longhaul::test
