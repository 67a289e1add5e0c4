#include "proxy/proxy_daemon.hpp"

#include <unistd.h>

#include "lib/io/own_limits.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/files.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kLookEvery = 2s;  // at the queue and the sites, without being told
constexpr Duration kEndPause = 10ms;
constexpr Duration kWriteAgain = 1s;  // of an order that could not be written

// Everything that others may have changed on the disk.
class LookWork final : public Work {
 public:
  LookWork(const App& app, daemon::OrderQueue& queue) : app_(app), queue_(queue) {}
  void run() override {
    sites = load_sites(app_);
    waiting = queue_.waiting();
    done = queue_.done();
  }
  Result<Sites> sites;
  Result<std::vector<daemon::Order>> waiting, done;

 private:
  const App& app_;
  daemon::OrderQueue& queue_;
};

class KeepOrderWork final : public Work {
 public:
  KeepOrderWork(daemon::OrderQueue& queue, daemon::Order order)
      : queue_(queue), order_(std::move(order)) {}
  void run() override { result = queue_.keep(order_); }
  Result<> result;

 private:
  daemon::OrderQueue& queue_;
  const daemon::Order order_;
};

}  // namespace

ProxyDaemon::ProxyDaemon(App& app, std::string version)
    : app_(app),
      version_(std::move(version)),
      began_(app.env.wall()),
      alarm_(app.env.alarm()),
      tasks_(app.env.executor()) {}

Result<> ProxyDaemon::begin() {
  lock_ = TRY(hold_daemon(app_));
  io::raise_descriptor_limit();
  queue_files_ = TRY(queue_folder(app_));
  queue_ = std::make_unique<daemon::OrderQueue>(*queue_files_);
  TRY(lists_folder(app_));
  socket_ = daemon_place(app_).socket;
  TRY(private_folder(socket_.substr(0, socket_.rfind('/'))));
  TRY(note_socket(app_, socket_));
  auto answer = [this](daemon::Request request) { return this->answer(std::move(request)); };
  desk_ = TRY(DaemonDesk::open(app_, socket_, answer));
  return {};
}

void ProxyDaemon::poke() {
  poked_ = true;
  alarm_->set(app_.env.now());
}

void ProxyDaemon::stop() {
  stopping_ = true;
  poke();
}

void ProxyDaemon::take_sites(const Sites& sites) {
  std::map<std::string, Site> listed;
  for (const Site& site : sites.all()) listed.emplace(site.name, site);
  for (auto& [name, kept] : sites_) {
    const auto found = listed.find(name);
    if (found != listed.end() && found->second == kept.keeper->site()) continue;
    if (!std::exchange(kept.leaving, true)) kept.keeper->stop();
  }
  for (const auto& [name, site] : listed) {
    if (sites_.contains(name)) continue;  // or it leaves: a new one follows
    auto made = std::make_unique<SiteKeeper>(app_, site,
                                             [this](const daemon::Order& order) { note(order); });
    SiteKeeper& keeper = *made;
    sites_[name].keeper = std::move(made);
    sites_[name].task = tasks_.spawn(keep(keeper));
  }
}

io::Task<> ProxyDaemon::keep(SiteKeeper& keeper) {
  co_await keeper.run();
  const std::string name = keeper.site().name;
  sites_.erase(name);
  poke();
}

void ProxyDaemon::take_orders(std::vector<daemon::Order> waiting, std::vector<daemon::Order> done) {
  std::set<std::uint64_t> there;
  for (daemon::Order& order : done) {
    there.insert(order.number);
    orders_.emplace(order.number, std::move(order));
  }
  for (daemon::Order& order : waiting) {
    there.insert(order.number);
    const auto [at, fresh] = orders_.emplace(order.number, std::move(order));
    SiteKeeper* keeper = keeper_of(at->second.site);
    if (keeper == nullptr || is_final(at->second.state)) continue;
    keeper->core().on_order(app_.env.now(), at->second);
    if (fresh) keeper->wake();
  }
  std::erase_if(orders_, [&there](const auto& entry) { return !there.contains(entry.first); });
}

// From a keeper: at once here, by and by on the disk.
void ProxyDaemon::note(const daemon::Order& order) {
  orders_[order.number] = order;
  LOG(app_.log, kInfo, "{}: {} {}", in_words(order), name_of(order.state), order.text);
  unwritten_[order.number] = order;
  if (!std::exchange(writing_, true)) tasks_.spawn(write_orders());
}

// One after the other, and from the first again, so that none that cannot be written holds up the
// rest. One that fails while the daemon stops is given up: what the disk says of it is older, and
// makes nobody do it twice.
io::Task<> ProxyDaemon::write_orders() {
  std::uint64_t last = 0;
  std::optional<Error> failed;
  while (!unwritten_.empty()) {
    auto at = unwritten_.upper_bound(last);
    if (at == unwritten_.end()) {
      if (failed && stopping_) break;
      if (std::exchange(failed, std::nullopt)) {
        const Time later = app_.env.now() + kWriteAgain;
        co_await app_.env.sleep_until(later);
      }
      last = 0;
      continue;
    }
    const daemon::Order order = at->second;
    last = order.number;
    Job job{JobId(1), JobClass::kDisk, std::make_unique<KeepOrderWork>(*queue_, order)};
    const Job done = co_await app_.env.work(std::move(job));
    const Result<>& kept = done.as<KeepOrderWork>().result;
    if (!kept) {
      if (unkept_.insert(order.number).second)
        LOG(app_.log, kWarn, "an order is not kept, and tried again: {}", kept.error().message());
      failed = kept.error();
      continue;
    }
    unkept_.erase(order.number);
    at = unwritten_.find(order.number);
    if (at != unwritten_.end() && at->second == order) unwritten_.erase(at);
    if (SiteKeeper* keeper = keeper_of(order.site)) {
      keeper->core().on_kept(order);
      keeper->wake();
    }
  }
  writing_ = false;
}

io::Task<> ProxyDaemon::look() {
  Job job{JobId(1), JobClass::kDisk, std::make_unique<LookWork>(app_, *queue_)};
  const Job done = co_await app_.env.work(std::move(job));
  LookWork& work = done.as<LookWork>();
  if (stopping_) co_return;
  if (work.sites) {
    take_sites(*work.sites);
  } else {
    LOG(app_.log, kWarn, "the sites: {}", work.sites.error().message());
  }
  // What is still to be written is newer than what was read.
  if (work.waiting && work.done && unwritten_.empty())
    take_orders(*std::move(work.waiting), *std::move(work.done));
}

io::Task<> ProxyDaemon::watch_addresses() {
  while (!stopping_) {
    const auto changed = co_await addresses_->changed();
    if (!changed || stopping_) break;
    for (auto& [name, kept] : sites_) kept.keeper->hurry();
  }
}

io::Task<Result<>> ProxyDaemon::run(std::function<void()> ready) {
  const Result<> begun = begin();
  if (!begun) co_return begun;
  if (auto watch = io::AddressWatch::open(app_.env.executor())) {
    addresses_ = *std::move(watch);
    tasks_.spawn(watch_addresses());
  }
  co_await look();
  ready();
  LOG(app_.log, kInfo, "longhaul {} runs, process {}, at {}", version_, ::getpid(), socket_);
  while (!stopping_) {
    poked_ = false;
    co_await look();
    if (poked_ || stopping_) continue;
    alarm_->set(app_.env.now() + kLookEvery);
    co_await alarm_->ring();
  }
  LOG(app_.log, kInfo, "stops");
  for (auto& [name, kept] : sites_) kept.keeper->stop();
  if (addresses_ != nullptr) addresses_->close();
  while (!sites_.empty()) {
    const Time later = app_.env.now() + kEndPause;
    co_await app_.env.sleep_until(later);
  }
  co_await desk_->close();
  co_await tasks_.join();
  lock_.reset();
  co_return Result<>();
}

SiteKeeper* ProxyDaemon::keeper_of(const std::string& site) const {
  const auto found = sites_.find(site);
  return found == sites_.end() ? nullptr : found->second.keeper.get();
}

}  // namespace longhaul::proxy
