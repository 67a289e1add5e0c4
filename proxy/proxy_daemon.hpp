// ProxyDaemon: the daemon on the laptop: a SiteKeeper for each paired site, the queue of orders,
// the desk at which commands are answered. It decides nothing (SiteCore does). On Env's strand.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "lib/io/address_watch.hpp"
#include "lib/io/posix_files.hpp"
#include "proxy/daemon/order_queue.hpp"
#include "proxy/daemon_desk.hpp"
#include "proxy/site_keeper.hpp"

namespace longhaul::proxy {

class ProxyDaemon {
 public:
  ProxyDaemon(App& app, std::string version);
  // Until stop(); an error: it could not begin. ready: called once it answers at the socket.
  io::Task<Result<>> run(std::function<void()> ready);
  void stop();

 private:
  using Lines = Result<std::vector<std::string>>;
  struct Kept {
    std::unique_ptr<SiteKeeper> keeper;
    io::TaskId task;
    bool leaving = false;
  };
  Result<> begin();
  io::Task<> look();          // at the list of sites and the queue, again
  io::Task<> write_orders();  // whose state changed; again until it could be
  io::Task<> watch_addresses();
  io::Task<> keep(SiteKeeper& keeper);
  void take_sites(const Sites& sites);
  void take_orders(std::vector<daemon::Order> waiting, std::vector<daemon::Order> done);
  void note(const daemon::Order& order);
  void poke();

  io::Task<Lines> answer(daemon::Request request);
  io::Task<Lines> answer_runs(daemon::Request request);
  Lines withdraw(std::uint64_t number);
  std::vector<std::string> status() const;
  void say_site(const SiteKeeper& keeper, std::vector<std::string>& lines) const;
  std::string say_mirror(const SiteKeeper& keeper, const std::string& run) const;
  void say_link(const SiteKeeper& keeper, cli::JsonLine& line) const;
  SiteKeeper* keeper_of(const std::string& site) const;

  App& app_;
  const std::string version_;
  std::string socket_;
  WallTime began_;
  std::unique_ptr<store::FileLock> lock_;
  std::unique_ptr<io::PosixFiles> queue_files_;
  std::unique_ptr<daemon::OrderQueue> queue_;
  std::unique_ptr<DaemonDesk> desk_;
  std::unique_ptr<io::AddressWatch> addresses_;
  std::unique_ptr<io::Alarm> alarm_;
  io::TaskGroup tasks_;
  std::map<std::string, Kept> sites_;
  std::map<std::uint64_t, daemon::Order> orders_;     // by number, the newest that ended included
  std::map<std::uint64_t, daemon::Order> unwritten_;  // by number; the newest state of each
  std::set<std::uint64_t> unkept_;                    // of those, whose failure was told
  bool writing_ = false, stopping_ = false, poked_ = true;
};

}  // namespace longhaul::proxy
