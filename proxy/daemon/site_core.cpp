#include "proxy/daemon/site_core.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/feed/run_files.hpp"

namespace longhaul::daemon {
namespace {

constexpr Duration kFreshFor = std::chrono::seconds(2);  // a list just heard is not asked for again
constexpr Duration kLookPause = std::chrono::minutes(1);
constexpr Duration kOrderLook = std::chrono::seconds(1);
constexpr std::size_t kLineBytes = 200;                  // of a run's line, beside its config
constexpr Duration kSilence = std::chrono::seconds(10);  // a site that lives is heard twice in it
constexpr int kSignalCode = 128;                         // and above: a signal ended it

std::optional<OrderState> state_of(run::EventKind kind) {
  switch (kind) {
    case run::EventKind::kApplied:
      return OrderState::kApplied;
    case run::EventKind::kExpired:
      return OrderState::kExpired;
    case run::EventKind::kRefused:
      return OrderState::kRefused;
    default:
      return std::nullopt;
  }
}

}  // namespace

void SiteCore::on_link(Time now, bool established, bool up, Time heard) {
  heard_ = heard;
  const bool was_up = link_.state() == LinkState::kUp;
  link_.on_session(now, established, up);
  if (!was_up && link_.state() == LinkState::kUp) list_at_ = std::min(list_at_, now);
}

void SiteCore::on_ended(Time now, const Error& why, bool mends) {
  link_.on_ended(now, why, mends);
  board_.on_session_lost(now);
  asking_ = false;
  asked_.reset();
  coming_.clear();
  for (auto& [number, tracked] : orders_) {
    tracked.was_sent = tracked.was_sent || tracked.sent;
    tracked.sent = tracked.answered = false;
  }
}

void SiteCore::on_list(Time now, WallTime wall, const feed::RunsListed& page) {
  if (!asked_ || page.request != *asked_) return;
  std::vector<wire::RunLine> lines = page.lines;
  feed::drop_impossible(lines);
  for (wire::RunLine& line : lines)
    if (coming_.size() < kRunsKnownMax) coming_.push_back(std::move(line));
  if (!page.last) return;
  asking_ = false;
  asked_.reset();
  if (!page.error) {
    std::size_t bytes = 0;
    for (const wire::RunLine& line : coming_) bytes += kLineBytes + line.config.size();
    const Duration paced = std::chrono::seconds(bytes / kListBytesPerSecond);
    list_at_ = now + std::max<Duration>(kListEvery, paced);
    list_ = {std::move(coming_), wall};
    fresh_until_ = now + kFreshFor;
    board_.on_list(now, list_.runs);
    acts_.push_back(KeepRuns{});
  } else {
    list_at_ = now + kListEvery;
  }
  coming_.clear();
}

void SiteCore::on_event(Time now, WallTime wall, const feed::Event& event) {
  if (const auto* page = std::get_if<feed::RunsListed>(&event)) return on_list(now, wall, *page);
  if (const auto* steered = std::get_if<wire::Steered>(&event)) return on_steered(now, *steered);
  const auto run = board_.on_event(now, wall, event);
  if (!run) return;
  const auto take = [this, now](std::uint32_t attempt, const std::vector<run::LogEntry>& entries) {
    for (const run::LogEntry& entry : entries)
      if (const auto* record = std::get_if<run::RunEvent>(&entry.record))
        on_run_event(now, attempt, *record);
  };
  if (const auto* took = std::get_if<feed::Took>(&event)) take(took->attempt, took->entries);
  if (const auto* heard = std::get_if<feed::Heard>(&event)) take(heard->attempt, heard->entries);
  const auto* opened = std::get_if<feed::Opened>(&event);
  if (opened == nullptr) return;
  if (!opened->error && !board_.is_listed(*run)) list_at_ = std::min(list_at_, now);  // it is new
  if (!opened->error) return;
  const Kind kind = opened->error->kind();
  OrderState state = OrderState::kRefused;
  if (kind == Kind::kNotFound) state = OrderState::kMissing;
  if (kind == Kind::kAuth) state = OrderState::kDenied;
  if (state == OrderState::kRefused && kind != Kind::kUsage) return;  // later
  for (auto& [number, tracked] : orders_) {
    if (tracked.order.kind != OrderKind::kSteer || tracked.order.target != *run) continue;
    if (is_final(tracked.order.state)) continue;
    decide(tracked, state, 0, 0, opened->error->message());
  }
  settle(now);
}

void SiteCore::on_mirror(Time now, const std::string& run, const MirrorRead& read) {
  board_.on_mirror(now, run, read);
  for (const auto& [attempt, event] : read.decided) on_run_event(now, attempt, event);
}

void SiteCore::decide(Tracked& tracked, OrderState state, std::uint32_t attempt, std::uint64_t step,
                      std::string text) {
  tracked.order.state = state;
  tracked.order.attempt = attempt;
  tracked.order.step = step;
  tracked.order.text = std::move(text);
  acts_.push_back(KeepOrder{tracked.order});
}

// The mark in the run log is the verdict, whoever tells of it.
void SiteCore::on_run_event(Time now, std::uint32_t attempt, const run::RunEvent& event) {
  const auto state = state_of(event.kind);
  if (event.id == 0 || !state) return;
  for (auto& [number, tracked] : orders_)
    if (tracked.order.id == event.id && !is_final(tracked.order.state))
      decide(tracked, *state, attempt, event.step, printable(event.text, wire::kRunReasonMax));
  settle(now);
}

void SiteCore::on_steered(Time now, const wire::Steered& steered) {
  for (auto& [number, tracked] : orders_) {
    if (tracked.order.id != steered.id.value || is_final(tracked.order.state)) continue;
    tracked.answered = true;
    const OrderState state = state_of(steered.state);
    if (state != tracked.order.state)
      decide(tracked, state, steered.attempt, steered.step,
             printable(steered.text, wire::kRunReasonMax));
  }
  settle(now);
}

// Orders that have ended leave; runs that nobody waits for are let go.
void SiteCore::settle(Time now) {
  std::set<std::string> ended, waited;
  for (const auto& [number, tracked] : orders_) {
    if (tracked.order.kind != OrderKind::kSteer) continue;
    (is_final(tracked.order.state) ? ended : waited).insert(tracked.order.target);
  }
  for (const std::string& run : ended)
    if (!waited.contains(run)) board_.hold(now, run, false);
  std::erase_if(orders_, [](const auto& entry) { return is_final(entry.second.order.state); });
}

void SiteCore::on_order(Time now, const Order& order) {
  if (orders_.contains(order.number) || is_final(order.state)) return;
  Tracked tracked;
  tracked.order = order;
  if (order.kind == OrderKind::kSteer) {
    const auto command = run::parse_command(order.command);
    const auto folder = feed::run_folder(order.target);
    if (!command || !folder) {
      decide(tracked, OrderState::kRefused, 0, 0,
             (command ? folder.error() : command.error()).message());
      return;
    }
    tracked.command = *command;
    tracked.command.id = order.id;
    tracked.was_sent = order.state != OrderState::kQueued;
    board_.hold(now, order.target, true);
  } else {
    tracked.order.state = OrderState::kQueued;  // a daemon before us may have begun it
  }
  orders_.emplace(order.number, std::move(tracked));
}

void SiteCore::on_kept(const Order& order) {
  const auto found = orders_.find(order.number);
  if (found == orders_.end() || order.state == OrderState::kQueued) return;
  found->second.unkept = false;
}

// Only what the program itself says of its task is final: a signal, a machine that runs nothing
// more or our own end say nothing of it. Who follows a run is ended by nothing that may pass.
void SiteCore::on_task_ended(Time now, std::uint64_t id, std::optional<int> exit_code,
                             const std::string& text) {
  const bool ours = stopping_ || !exit_code || *exit_code >= kSignalCode;
  for (auto& [number, tracked] : orders_) {
    if (tracked.order.id != id || !tracked.running) continue;
    const bool follows = tracked.order.kind == OrderKind::kFollow;
    const bool done = !follows && (exit_code == cli::kOk || exit_code == cli::kPartialResult);
    const bool hopeless = exit_code == cli::kUsageError || exit_code == cli::kNotFoundError ||
                          exit_code == cli::kAuthError;
    const bool again = ours || *exit_code == cli::kLinkError || (follows && !hopeless);
    tracked.running = false;
    OrderState state = again ? OrderState::kQueued : OrderState::kFailed;
    if (tracked.withdrawn) state = OrderState::kWithdrawn;
    if (done) state = OrderState::kApplied;
    tracked.not_before = now + kTaskPause;
    decide(tracked, state, tracked.order.attempt, tracked.order.step,
           state == OrderState::kWithdrawn ? "" : text);
  }
  settle(now);
}

void SiteCore::on_task_news(std::uint64_t id, std::uint32_t attempt, std::uint64_t step,
                            const std::string& text) {
  for (auto& [number, tracked] : orders_)
    if (tracked.order.id == id && tracked.running)
      decide(tracked, OrderState::kRunning, attempt, step, text);
}

Result<> SiteCore::withdraw(Time now, std::uint64_t number) {
  const auto found = orders_.find(number);
  if (found == orders_.end())
    return fail(Kind::kUsage, "withdraw the order", "none of that number waits");
  Tracked& tracked = found->second;
  if (tracked.running) {
    if (!std::exchange(tracked.withdrawn, true)) acts_.push_back(EndTask{tracked.order.id});
    return {};
  }
  if (tracked.order.kind == OrderKind::kSteer && tracked.order.state != OrderState::kQueued)
    return fail(Kind::kUsage, "withdraw the order", "it may have left");
  decide(tracked, OrderState::kWithdrawn, tracked.order.attempt, tracked.order.step, "");
  settle(now);
  return {};
}

// A site that was away tells what happened meanwhile a moment after its first word.
bool SiteCore::heard_long_after(Tracked& tracked, Time now, WallTime wall) const {
  const bool gone = link_.state() != LinkState::kUp || now - heard_ > kSilence;
  if (gone) tracked.heard_late.reset();
  const std::int64_t heard_ns = wall.ns - (now - heard_).count();
  if (gone || heard_ns <= tracked.order.expires.ns) return false;
  if (!tracked.heard_late) tracked.heard_late = heard_;
  return heard_ - *tracked.heard_late >= kVerdictWait;
}

void SiteCore::expire(Time now, WallTime wall) {
  for (auto& [number, tracked] : orders_) {
    const Order& order = tracked.order;
    if (order.kind != OrderKind::kSteer || order.expires.ns == 0 || is_final(order.state)) continue;
    const bool never_left = !tracked.sent && !tracked.was_sent;
    if (never_left && wall >= order.expires) {
      decide(tracked, OrderState::kExpired, 0, 0,
             "the site was not reached in time; nothing was sent");
      continue;
    }
    // Nobody took it, and whoever still finds it judges that it is too late. Only with all that the
    // run has logged here is that known.
    const auto open = board_.open_watch(order.target);
    const bool heard_all = open && (open->complete || (tracked.sent && tracked.answered));
    if (heard_long_after(tracked, now, wall) && !never_left && heard_all)
      decide(tracked, OrderState::kExpired, 0, 0, "no training program took it in time");
  }
  settle(now);
}

std::optional<wire::Steer> SiteCore::next_steer(Time, WallTime wall) {
  std::set<std::string> blocked;
  for (auto& [number, tracked] : orders_) {
    Order& order = tracked.order;
    if (order.kind != OrderKind::kSteer || blocked.contains(order.target)) continue;
    if (tracked.sent) {
      if (!tracked.answered) blocked.insert(order.target);
      continue;
    }
    const auto open = board_.open_watch(order.target);
    const bool late = order.expires.ns != 0 && wall >= order.expires;
    // What may have arrived and is too late is not sent again: the history says what became of it.
    if (!open || late) {
      blocked.insert(order.target);
      continue;
    }
    // A daemon that is killed now must not leave behind what looks as if it had never left.
    if (order.state == OrderState::kQueued) {
      decide(tracked, OrderState::kSent, 0, 0, "");
      tracked.unkept = true;
    }
    if (tracked.unkept) {
      blocked.insert(order.target);
      continue;
    }
    tracked.sent = true;
    wire::Steer steer;
    steer.watch = open->watch;
    steer.id = {order.id};
    steer.kind = static_cast<std::uint8_t>(tracked.command.kind);
    steer.name = tracked.command.name;
    steer.value = tracked.command.value;
    if (order.expires.ns != 0)
      steer.expires.ns = open->site_time.ns + (order.expires.ns - open->wall.ns);
    return steer;
  }
  return std::nullopt;
}

// Pushes and fetches go one at a time, each in its turn; runs are followed beside them.
SiteCore::Tracked* SiteCore::next_task(Time now) {
  bool turn = true;
  std::size_t followers = 0;
  for (const auto& [number, tracked] : orders_)
    if (tracked.running && tracked.order.kind == OrderKind::kFollow) ++followers;
  for (auto& [number, tracked] : orders_) {
    if (tracked.order.kind == OrderKind::kSteer) continue;
    const bool follows = tracked.order.kind == OrderKind::kFollow;
    const bool may = follows ? followers < kFollowersMax : turn;
    if (!tracked.running && tracked.not_before <= now && may) return &tracked;
    if (!follows) turn = false;
  }
  return nullptr;
}

std::optional<Act> SiteCore::next_act() {
  while (!acts_.empty()) {
    Act act = std::move(acts_.front());
    acts_.pop_front();
    if (!stopping_ || std::holds_alternative<KeepOrder>(act)) return act;
  }
  return std::nullopt;
}

std::optional<Act> SiteCore::poll(Time now, WallTime wall) {
  if (!stopping_) expire(now, wall);
  if (auto act = next_act()) return act;
  if (stopping_) return std::nullopt;
  const bool up = link_.state() == LinkState::kUp;
  if (up && !asking_ && now >= list_at_) {
    asking_ = true;
    return AskRuns{};
  }
  if (auto step = board_.next(now, up)) {
    Act act = AskRuns{};
    std::visit([&act](auto& one) { act = std::move(one); }, *step);
    return act;
  }
  if (!up) return std::nullopt;
  if (auto steer = next_steer(now, wall)) return *steer;
  if (auto act = next_act()) return act;
  if (Tracked* const next = next_task(now)) {
    next->running = true;
    ++next->order.tries;
    decide(*next, OrderState::kRunning, next->order.attempt, next->order.step, "");
    return BeginTask{next->order};
  }
  return std::nullopt;
}

void SiteCore::restore(Time now, RunList list) {
  list_ = std::move(list);
  feed::drop_impossible(list_.runs);
  board_.on_list(now, list_.runs);
}

void SiteCore::check() const {
  ASSERT(coming_.size() <= kRunsKnownMax);
  ASSERT(asking_ || !asked_);
  ASSERT(asked_ || coming_.empty());
  std::size_t in_turn = 0, followers = 0;
  for (const auto& [number, tracked] : orders_) {
    const Order& order = tracked.order;
    ASSERT(number == order.number && !is_final(order.state));
    ASSERT(!tracked.sent || !tracked.unkept);  // the disk first
    ASSERT(!tracked.unkept || order.state != OrderState::kQueued);
    ASSERT(!tracked.running || order.kind != OrderKind::kSteer);
    ASSERT(!tracked.withdrawn || tracked.running);
    ASSERT(tracked.running == (order.state == OrderState::kRunning));
    if (tracked.running) ++(order.kind == OrderKind::kFollow ? followers : in_turn);
  }
  ASSERT(in_turn <= 1 && followers <= kFollowersMax);
}

// Whatever else happens is told: by the link, the site or whoever gives an order.
Time SiteCore::next_deadline(Time now) const {
  const bool up = link_.state() == LinkState::kUp;
  Time next = now + kLookPause;
  const auto sooner = [&next](Time time) { next = std::min(next, time); };
  if (!orders_.empty()) sooner(now + kOrderLook);  // by a clock that may be set
  if (link_.state() == LinkState::kWaiting) sooner(link_.next());
  if (up && !asking_) sooner(list_at_);
  if (const auto board = board_.next_deadline(up)) sooner(*board);
  return std::max(next, now);
}

}  // namespace longhaul::daemon
