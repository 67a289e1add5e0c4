// SiteKeeper: the daemon's hand for one site: one session after the other, the mirrors of its runs,
// programs that carry out orders. What to do is SiteCore's to say. On Env's strand; stop() and
// run()'s end before it is destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "lib/io/process.hpp"
#include "lib/io/task_group.hpp"
#include "proxy/connection.hpp"
#include "proxy/daemon/site_core.hpp"

namespace longhaul::proxy {

class SiteKeeper {
 public:
  // keep: an order's state changed.
  SiteKeeper(App& app, Site site, std::function<void(const daemon::Order&)> keep);
  ~SiteKeeper();
  // A site that calls us is left to the commands: one program at a time can listen for it.
  bool serves() const { return site_.listen.empty(); }
  io::Task<> run();
  void stop();
  void wake();   // something was asked of the core
  void hurry();  // try now
  daemon::SiteCore& core() { return core_; }
  const daemon::SiteCore& core() const { return core_; }
  const Site& site() const { return site_; }
  std::uint64_t turns() const { return turns_; }  // of its loop: as many as there was reason for
  const Connection* connection() const { return connection_.get(); }

 private:
  struct Kept {  // a mirror; it stays open for the next watch
    std::unique_ptr<store::Files> folder;
    std::unique_ptr<feed::Mirror> mirror;
    Time used{};
    std::map<std::uint32_t, WallTime> began;  // each attempt
    bool stale = false;                       // the run was removed, and another begun in its place
  };
  void begin();
  void hear();
  bool is_other_run(const feed::Opened& opened);
  void learn(const feed::Took& took);
  void drop_empty(wire::WatchId watch);
  void obey();
  void obey(const daemon::AskRuns&);
  void obey(const daemon::KeepRuns&);
  void obey(const daemon::KeepOrder& act);
  void obey(const daemon::BeginTask& act);
  void obey(const daemon::EndTask& act);
  void obey(const daemon::OpenMirror& act);
  void obey(const daemon::StartWatch& act);
  void obey(const daemon::EndWatch& act);
  void obey(const wire::Steer& act);
  void close_unused();
  io::Task<> end();
  io::Task<> open_mirror(std::string run, std::string put_away);
  io::Task<> keep_runs();
  io::Task<> run_task(daemon::Order order);  // site_tasks.cpp
  std::string hear_program(std::uint64_t id, const std::string& line);

  App& app_;
  const Site site_;
  const std::function<void(const daemon::Order&)> keep_;
  daemon::SiteCore core_;
  io::TaskGroup tasks_;
  std::unique_ptr<io::Alarm> alarm_;
  std::map<std::string, Kept> mirrors_;
  std::map<wire::WatchId, std::string> watches_;    // of this session: whose they are
  std::unique_ptr<Connection> connection_;          // after the mirrors: its viewer writes them
  std::map<std::uint64_t, io::Process*> programs_;  // of tasks, by the order's id
  std::set<std::uint64_t> ending_;                  // of those, to be ended
  std::optional<Error> broken_;                     // the peer broke the protocol
  daemon::LinkState said_ = daemon::LinkState::kWaiting;
  std::uint64_t turns_ = 0;
  bool stopping_ = false, woken_ = false, keeping_ = false, keep_again_ = false;
};

}  // namespace longhaul::proxy
