#include "tests/sim/product_world.hpp"

#include <algorithm>
#include <array>

#include "lib/store/audit.hpp"
#include "netsim/profile.hpp"

namespace longhaul::test {
namespace {
constexpr std::uint64_t kTreeMost = 4U << 20;
constexpr std::uint64_t kSlicedTreeMost = 64U << 10;   // one event a byte
constexpr std::uint64_t kKilledTreeMost = 256U << 10;  // many of its worlds make a sweep
constexpr std::size_t kStaleBytes = 64U << 10;
constexpr std::array<std::string_view, kFaults> kNames = {
    "L1 profile",    "L2 loss",  "L3 reorder",   "L4 bit flips", "L5 blackout",
    "L6 half-open",  "L11 cut",  "L12 slices",   "L16 clock",    "L17 stale",
    "L7 PMTU",       "L8 route", "L8 far route", "L9 rate",      "L10 lopsided",
    "L13 rebinding", "L7 small", "L15 untuned",  "UDP blocked",  "UDP dies",
    "long outage",   "lid"};
constexpr std::size_t kStaleDatagrams = 64;
constexpr Duration kPushBefore = 500ms;  // before all is healed, at most: many are under way then

netsim::LinkConfig random_profile(Rng& rng, std::string& words) {
  const auto names = netsim::profile_names();
  const std::string_view name = names[rng.below(names.size())];
  const auto profile = netsim::built_in_profile(name);
  ASSERT(profile.has_value());
  words = std::string(name);
  return profile->link;
}

netsim::LinkConfig random_link(Rng& rng, std::string& words) {
  LinkShape shape;
  shape.rtt = Duration(static_cast<std::int64_t>(rng.between(1'000'000, 300'000'000)));
  shape.megabits = rng.between(2, 500);
  shape.queue_bdp = static_cast<double>(rng.between(25, 400)) / 100;
  words = std::to_string(shape.megabits) + " Mbit/s, " +
          std::to_string(shape.rtt / std::chrono::milliseconds(1)) + " ms, " +
          std::to_string(shape.queue_bdp) + " BDP";
  return make_link(shape);
}

void add_loss(Rng& rng, netsim::LinkConfig& link) {
  constexpr std::array kShares = {0.001, 0.01, 0.05};
  const double share = kShares[rng.below(kShares.size())];
  for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
    if (rng.chance(0.5)) {
      way->loss = netsim::BernoulliLoss{share};
    } else {
      way->loss = netsim::GilbertElliottLoss::of(share, static_cast<double>(rng.between(2, 20)));
    }
  }
}

}  // namespace

std::string_view name_of(Fault fault) {
  return kNames[static_cast<std::size_t>(fault)];
}

FaultSet random_faults(Rng& rng) {
  FaultSet faults;
  for (std::size_t i = 0; i < kRandomFaults; ++i) {
    // Slices make every other fault slow: seldom.
    const double chance = static_cast<Fault>(i) == Fault::kL12Slices ? 0.05 : 0.3;
    if (rng.chance(chance)) faults.push_back(static_cast<Fault>(i));
  }
  return faults;
}

FaultSet random_faults_of_all(Rng& rng) {
  FaultSet faults;
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    const bool slow = fault == Fault::kL12Slices || fault >= Fault::kUdpBlocked;
    if (rng.chance(slow ? 0.05 : 0.15)) faults.push_back(fault);
  }
  return faults;
}

// Dials the site and says what an old connection's dialler had said.
class ProductWorld::Stranger final : public netsim::StreamUser {
 public:
  Stranger(SessionWorld& net, std::vector<Slice> words) : net_(net), words_(std::move(words)) {
    net_.wan.streams().dial(net_.laptop_host, netsim::endpoint(net_.site_host, 443), *this);
  }
  void on_connected(netsim::Time, netsim::StreamId stream) override {
    for (const Slice& word : words_) net_.wan.streams().write(stream, word);
  }
  void on_bytes(netsim::Time, netsim::StreamId, Slice) override {}
  void on_closed(netsim::Time, netsim::StreamId, netsim::CloseReason) override {}

 private:
  SessionWorld& net_;
  std::vector<Slice> words_;
};

ProductWorld::ProductWorld(std::uint64_t seed, const FaultSet& faults, bool datagrams)
    : seed_(seed),
      faults_(faults),
      rng_(seed, "product"),
      laptop_disk_(std::make_shared<sim::CrashFiles>()),
      site_disk_(std::make_shared<sim::CrashFiles>()) {
  open_site();
  WorldOptions options = make_options();
  options.session.datagrams = datagrams;
  options.udp_blocked = has(Fault::kUdpBlocked);
  net_ = std::make_unique<SessionWorld>(seed, options);
  net_->wan.reconfigure(net_->link, make_way());
  if (datagrams) feed_ = std::make_unique<FeedBeside>(*net_, *site_disk_);
  net_->laptop.make_service = [this]() -> session::Service& { return laptop_service(); };
  net_->site.make_service = [this]() -> session::Service& { return site_service(); };
  net_->site.on_each_read = [this](const Slice& bytes) {
    if (first_read_bytes_ >= kStaleBytes) return;
    first_read_bytes_ += bytes.size();
    first_read_.push_back(Slice::copy_of(bytes.bytes()));
  };
  net_->site.on_each_datagram = [this](const netsim::Datagram& datagram) {
    if (first_datagrams_.size() >= kStaleDatagrams) return;
    first_datagrams_.push_back(datagram);
    first_datagrams_.back().payload = Slice::copy_of(datagram.payload.bytes());
  };
}

void ProductWorld::add_stranger() {
  strangers_.push_back(std::make_unique<Stranger>(*net_, first_read_));
}

WorldOptions ProductWorld::make_options() {
  WorldOptions options;
  options.job_time_max = 1ms + some(20ms);
  if (has(Fault::kL12Slices)) options.streams.slice_bytes = 1;
  if (has(Fault::kL15Untuned)) {
    options.streams.flow.send_buffer_bytes = options.streams.flow.receive_buffer_bytes = 64U << 10;
  }
  if (!has(Fault::kL11Cut)) return options;
  const std::uint64_t at = rng_.below(6000);
  switch (rng_.below(4)) {
    case 0:
      options.laptop_finishes_after = at;
      break;
    case 1:
      options.site_finishes_after = at;
      break;
    case 2:
      options.first_dial = options.streams;
      options.first_dial->reset_after_sent = at;
      break;
    default:
      options.first_dial = options.streams;
      options.first_dial->reset_after_received = at;
  }
  return options;
}

netsim::LinkConfig ProductWorld::make_way() {
  netsim::LinkConfig link =
      has(Fault::kL1Profile) ? random_profile(rng_, link_words_) : random_link(rng_, link_words_);
  if (has(Fault::kL2Loss)) add_loss(rng_, link);
  shape(link);
  for (netsim::DirectionConfig* way : {&link.up, &link.down}) {
    if (has(Fault::kL3Reorder)) {
      way->reorder = netsim::ReorderConfig{0.05, 1ms + some(30ms)};
      way->duplicate = 0.02;
    }
    if (has(Fault::kL17Stale)) {
      way->duplicate = std::max(way->duplicate, 0.01);
      way->reorder = netsim::ReorderConfig{0.005, 500ms + some(5s)};
    }
    if (has(Fault::kL4BitFlips)) way->corrupt = netsim::CorruptConfig{0.0005, true};
  }
  return link;
}

// What the faults make of a link from the start.
void ProductWorld::shape(netsim::LinkConfig& link) {
  if (has(Fault::kL8FarRoute)) {
    for (netsim::DirectionConfig* way : {&link.up, &link.down}) way->delay.base = 10ms;
  }
  if (has(Fault::kL9Rate)) {
    for (netsim::DirectionConfig* way : {&link.up, &link.down})
      way->rate = netsim::ConstantRate{BytesPerSecond::from_bits(kFastBits)};
  }
  if (has(Fault::kL10Lopsided)) {
    const std::uint64_t bits = rng_.between(20, 100) * 1'000'000;
    link.up.rate = netsim::ConstantRate{BytesPerSecond::from_bits(bits)};
    link.down.rate = netsim::ConstantRate{BytesPerSecond::from_bits(bits / 100)};
    link.up.queue.bytes_max = ByteCount(bits / 8);
    link.down.queue.bytes_max = ByteCount(bits / 800);
  }
  if (has(Fault::kL7Small)) {
    link.up.mtu_bytes = link.down.mtu_bytes = 1280 + static_cast<std::uint32_t>(rng_.below(200));
    link.up.pmtu_reply = link.down.pmtu_reply = rng_.chance(0.3);
  }
}

void ProductWorld::open_site() {
  auto root = store::Root::open(*site_disk_);
  ASSERT(root.has_value());
  root_ = std::move(*root);
  index_ = std::make_unique<store::MemoryIndex>();
  ASSERT(store::rebuild_index(*root_, *index_).has_value());
  host_ = std::make_unique<transfer::SiteHost>(*root_, *index_, transfer::SiteRights());
}

// kill -9: connections break, locks are free, nothing written is lost, all else is.
void ProductWorld::kill(Side side) {
  if (side == Side::kLaptop) {
    net_->laptop.forget_session();
    laptop_disk_->kill_process();
    return;
  }
  net_->site.forget_session();
  site_exchanges_.clear();
  host_.reset();
  root_.reset();
  site_disk_->kill_process();
  open_site();
}

std::size_t ProductWorld::link_downs() const {
  return net_->laptop.events_of<session::LinkDown>().size();
}

ProductWorld::~ProductWorld() {
  // Sessions before the services that they know, and both before the buffers that they lend.
  net_->laptop.session.reset();
  net_->site.session.reset();
  laptop_exchanges_.clear();
  site_exchanges_.clear();
  strangers_.clear();
  feed_.reset();
  net_.reset();
}

bool ProductWorld::has(Fault fault) const {
  return std::count(faults_.begin(), faults_.end(), fault) > 0;
}

std::string ProductWorld::told() const {
  std::string words = link_words_;
  for (const Fault fault : faults_) words += ", " + std::string(name_of(fault));
  return words;
}

std::uint64_t ProductWorld::trace_hash() const {
  return (net_->wan.trace_hash() * 31 + net_->laptop.output_hash) * 31 + net_->site.output_hash;
}

session::Service& ProductWorld::laptop_service() {
  laptop_exchanges_.push_back(std::make_unique<transfer::Exchange>(transfer::Side::kDialer, nullptr,
                                                                   transfer::ExchangeOptions{}));
  return *laptop_exchanges_.back();
}

session::Service& ProductWorld::site_service() {
  site_exchanges_.push_back(std::make_unique<transfer::Exchange>(
      transfer::Side::kListener, host_.get(), transfer::ExchangeOptions{}));
  return *site_exchanges_.back();
}

void ProductWorld::push() {
  transfer::Exchange::PushOptions options;
  options.dataset = "data";
  laptop_exchanges_.back()->start_push(net_->laptop.clock(), options,
                                       source_of(laptop_disk_, "src", rng_.chance(0.3)), {});
  net_->laptop.drain();
}

void ProductWorld::put_tree() {
  const std::uint64_t most = has(Fault::kL12Slices) ? kSlicedTreeMost : kTreeMost;
  tree_bytes_ = rng_.below(most) + 1;
  put_random_tree(*laptop_disk_, "src", rng_, tree_bytes_);
}

// `again`: the user would try once more.
std::string ProductWorld::one_push(Duration limit, bool* again) {
  *again = false;
  push();
  const auto end = await_end(limit);
  if (!end) return "the push hangs";
  const session::Status status = net_->laptop.session->status();
  if (!status.ended) return judge(*end);
  // A site that nobody could reach for half a minute is an honest answer, before anything was
  // agreed: the user tries again. A session that stood once outlives every fault here.
  const bool honest = end->error && end->error->kind() == Kind::kLink;
  *again = !status.established && honest;
  return "the session ended: " + (end->error ? end->error->message() : std::string("well"));
}

std::string ProductWorld::run() {
  put_tree();
  net_->start();
  if (feed_) feed_->start();
  schedule_faults();
  const int attempts = has(Fault::kLongOutage) || has(Fault::kLid) ? 200 : 5;
  bool again = false;
  for (int attempt = 1;; ++attempt) {
    const std::string wrong = one_push(kLimit, &again);
    if (wrong.empty()) return judge_feed();
    if (!again || attempt == attempts) return wrong;
    net_->laptop.forget_session();
    net_->redial();
  }
}

std::string ProductWorld::run_healed() {
  put_tree();
  net_->start();
  if (feed_) feed_->start();
  const Time healed = net_->wan.now() + healed_after();
  const Time late = healed + kHealed + 2 * time_for_push();
  healed_at_ = healed;
  schedule_faults();
  after(healed_after(), [this] { heal(); });
  net_->run_for(healed_after() - some(kPushBefore));
  for (bool again = true; again;) {
    if (net_->laptop.session->status().ended) {  // as in run(): it never stood
      net_->laptop.forget_session();
      net_->redial();
    }
    const std::string wrong = one_push(late - net_->wan.now(), &again);
    if (!again && !wrong.empty()) return wrong;
  }
  done_ = true;
  return judge_feed(late - net_->wan.now());
}

std::string ProductWorld::run_killed(Side side, std::uint64_t after_events) {
  put_random_tree(*laptop_disk_, "src", rng_, kKilledTreeMost);
  net_->start();
  push();
  bool alive = true;
  for (int attempt = 1; attempt <= 10; ++attempt) {
    std::optional<transfer::Finished> end;
    const auto look = [&] {
      while (auto event = laptop_exchanges_.back()->poll_event())
        if (auto* one = std::get_if<transfer::Finished>(&*event)) end = std::move(*one);
      if (alive) ++events_;
      return end.has_value() || (alive && events_ > after_events);
    };
    if (!net_->wan.run_until(look, kLimit)) return "the push hangs";
    if (std::exchange(alive, alive && events_ <= after_events) && !alive) {
      kill(side);
      if (side == Side::kSite) continue;  // the laptop will notice
    } else if (!end->error) {
      return judge(*end);
    } else if (end->error->kind() != Kind::kLink && end->error->kind() != Kind::kBusy) {
      return "the push failed: " + end->error->message();
    }
    net_->laptop.forget_session();
    net_->run_for(1s);
    net_->redial();
    push();
  }
  return "it is never done";
}

std::optional<transfer::Finished> ProductWorld::await_end(Duration limit) {
  std::optional<transfer::Finished> end;
  net_->wan.run_until(
      [&] {
        if (feed_) feed_->hear();
        while (auto event = laptop_exchanges_.back()->poll_event())
          if (auto* one = std::get_if<transfer::Finished>(&*event)) end = std::move(*one);
        return end.has_value();
      },
      limit);
  return end;
}

std::string ProductWorld::judge_feed(Duration limit) {
  if (!feed_) return {};
  net_->wan.run_until(
      [this] {
        feed_->hear();
        return feed_->done();
      },
      limit);
  return feed_->judge();
}

std::string ProductWorld::judge(const transfer::Finished& end) {
  if (end.error) return "the push failed: " + end.error->message();
  const auto source = source_of(laptop_disk_, "src", true);
  const store::Tree sent = tree_of(*source);
  if (end.committed.root != sent.root()) return "another tree was published";
  if (end.committed.version != 1) return "it took more than one version";
  const auto name = store::DatasetName::parse("data");
  const auto tree = root_->tree(*name, store::VersionNo(1));
  if (!tree) return "no version is there: " + tree.error().message();
  store::Audit audit(*site_disk_, *tree, store::Root::folder_of(*name, store::VersionNo(1)));
  while (audit.step(1U << 30) == store::Audit::Progress::kMore) {
  }
  if (audit.damaged() > 0) return "a published file is wrong";
  return {};
}

}  // namespace longhaul::test
