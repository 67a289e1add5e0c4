// SiteCore: all that the daemon decides about one site: when a session begins (LinkPlan), which
// runs are mirrored (RunBoard), when the list of runs is asked for, which order goes out when and
// what became of it. Orders of one run go in the order in which they were given, the next one when
// the site has answered the one before; each keeps its id for ever, so that what is sent again
// after an outage is carried out once. Pure; `now` counts the machine's sleep, `wall` is this
// machine's clock.
//
//   core.on_session(now); core.on_link(now, established, up, heard); core.on_event(now, wall,
//   event); while (auto act = core.poll(now, wall)) ..do it.. wake_at(core.next_deadline(now));
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "lib/run/command.hpp"
#include "proxy/daemon/link_plan.hpp"
#include "proxy/daemon/order.hpp"
#include "proxy/daemon/run_board.hpp"

namespace longhaul::daemon {

constexpr Duration kListEvery = std::chrono::seconds(15);
constexpr std::size_t kListBytesPerSecond = 4096;  // a long list is asked for less often
// The site was heard for so long after an order expired, and told of no verdict.
constexpr Duration kVerdictWait = std::chrono::seconds(5);
constexpr std::size_t kFollowersMax = 8;  // at once; the next ones wait for one to end
constexpr Duration kTaskPause = std::chrono::seconds(30);  // after a try that the link ended

struct AskRuns {};   // Viewer::list(); the owner tells on_asked()
struct KeepRuns {};  // the list changed: to the disk
struct KeepOrder {   // its state changed: to the disk; then on_kept()
  Order order;
};
struct BeginTask {  // run it, by a program of its own; then on_task_ended()
  Order order;
};
struct EndTask {  // end that program
  std::uint64_t id = 0;
};
using Act = std::variant<AskRuns, KeepRuns, KeepOrder, BeginTask, EndTask, OpenMirror, StartWatch,
                         EndWatch, wire::Steer>;

class SiteCore {
 public:
  explicit SiteCore(Time now) : link_(now) {}

  bool begins(Time now) const { return link_.begins(now); }
  void on_session(Time now) { link_.on_begun(now); }
  // heard: when the site's side of the session last said anything.
  void on_link(Time now, bool established, bool up, Time heard);
  void on_ended(Time now, const Error& why, bool mends);
  void hurry(Time now) { link_.hurry(now); }

  void restore(Time now, RunList list);  // as kept on the disk
  void refresh(Time now) {               // somebody wants the list: ask anew
    list_at_ = now;
    fresh_until_.reset();
  }
  void on_asked(wire::FeedRequest request) { asked_ = request; }
  void on_event(Time now, WallTime wall, const feed::Event& event);
  void on_mirror(Time now, const std::string& run, const MirrorRead& read);
  RunBoard& board() { return board_; }
  const RunBoard& board() const { return board_; }

  // An order of this site, as it stands on the disk; one that is known is passed over.
  void on_order(Time now, const Order& order);
  // So it stands on the disk. A command leaves once `sent` does.
  void on_kept(const Order& order);
  // nullopt: it could not even be begun.
  void on_task_ended(Time now, std::uint64_t id, std::optional<int> exit_code,
                     const std::string& text);
  // A checkpoint is home; its program goes on, or is about to end.
  void on_task_news(std::uint64_t id, std::uint32_t attempt, std::uint64_t step,
                    const std::string& text);
  // A task's program is ended first. kUsage: no such order, or it may have left.
  Result<> withdraw(Time now, std::uint64_t number);
  // Nothing is begun any more: poll() says only what became of orders.
  void stop() { stopping_ = true; }
  std::size_t orders() const { return orders_.size(); }

  std::optional<Act> poll(Time now, WallTime wall);
  Time next_deadline(Time now) const;  // something is due then at the latest

  void check() const;  // invariants

  const LinkPlan& link() const { return link_; }
  const RunList& list() const { return list_; }
  bool list_is_fresh(Time now) const { return fresh_until_ && now < *fresh_until_; }

 private:
  struct Tracked {
    Order order;
    run::Command command;
    bool was_sent = false;                // in an earlier session
    bool unkept = false;                  // `sent` is not on the disk yet
    bool sent = false, answered = false;  // in this one
    bool running = false;                 // a task's program
    bool withdrawn = false;               // and it is to end
    std::optional<Time> heard_late;       // the site's first word after it expired
    Time not_before{};
  };
  void decide(Tracked& tracked, OrderState state, std::uint32_t attempt, std::uint64_t step,
              std::string text);
  void on_run_event(Time now, std::uint32_t attempt, const run::RunEvent& event);
  void on_steered(Time now, const wire::Steered& steered);
  void on_list(Time now, WallTime wall, const feed::RunsListed& page);
  std::optional<wire::Steer> next_steer(Time now, WallTime wall);
  Tracked* next_task(Time now);
  std::optional<Act> next_act();
  bool heard_long_after(Tracked& tracked, Time now, WallTime wall) const;
  void expire(Time now, WallTime wall);
  void settle(Time now);

  LinkPlan link_;
  Time heard_{};  // of the session that lives
  RunBoard board_;
  RunList list_;
  std::vector<wire::RunLine> coming_;  // pages of a list so far
  std::optional<wire::FeedRequest> asked_;
  bool asking_ = false, stopping_ = false;
  Time list_at_{};
  std::optional<Time> fresh_until_;
  std::map<std::uint64_t, Tracked> orders_;  // by number
  std::deque<Act> acts_;
};

}  // namespace longhaul::daemon
