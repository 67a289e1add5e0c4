#include "proxy/push_watch.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/human.hpp"
#include "lib/io/task_group.hpp"
#include "lib/io/tree_watch.hpp"
#include "proxy/debounce.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kSettle = 50ms;  // between two readings of the kernel's events, in a storm

class Watcher {
 public:
  Watcher(App& app, PushTask task)
      : app_(app),
        task_(std::move(task)),
        debounce_(app.env.now(), {}),
        woken_(app.env.executor()),
        alarm_(app.env.alarm()),
        tasks_(app.env.executor()) {}

  io::Task<int> run() {
    tasks_.spawn(keep_time());
    while (!stopped_ && !fatal_) {
      co_await wait_for_round();
      if (stopped_) break;
      const Result<> done = co_await round();
      if (!done) judge(done.error());
    }
    co_await close();
    if (fatal_) co_return app_.failed(*fatal_);
    co_return tell_stopped();
  }

 private:
  io::Task<> wait_for_round() {
    app_.when_stopped([this] {
      stopped_ = true;
      woken_.notify();
    });
    for (Time due = debounce_.next_round(); !stopped_ && app_.env.now() < due;
         due = debounce_.next_round()) {
      alarm_->set(due);
      co_await woken_.wait();
    }
    app_.on_stop = nullptr;
  }

  // Walks, and pushes what is new. Whatever it returns, debounce_ knows that the round is over.
  io::Task<Result<>> round() {
    const Time began = app_.env.now();
    debounce_.begin();
    heard_ = false;
    Result<ScannedSource> scanned = co_await scan_source(app_, task_.scan);
    const Time walked = app_.env.now();
    if (!scanned) {
      debounce_.end(walked, walked - began, false);
      co_return fail(scanned.error());
    }
    co_await follow(*scanned);
    Result<> pushed = co_await push_new(*scanned, began, walked);
    debounce_.end(app_.env.now(), walked - began, pushed.has_value());
    if (pushed) last_told_.clear();
    co_return pushed;
  }

  io::Task<> follow(const ScannedSource& scanned) {
    if (watch_ == nullptr) {
      watch_ = io::TreeWatch::open(app_.env, scanned.top);
      tasks_.spawn(hear_changes());
    }
    std::vector<store::TreeName> folders;
    const transfer::Rows& rows = scanned.source->rows;
    for (std::size_t row = 0; row < rows.size(); ++row)
      if (rows.type(row) == store::EntryType::kFolder) folders.push_back(rows.name(row));
    const bool grew = co_await watch_->follow(std::move(folders));
    if (grew) debounce_.on_change(app_.env.now());  // what changed before the watch began
    debounce_.set_patrol(watch_->look_every());
  }

  io::Task<Result<>> push_new(ScannedSource& scanned, Time began, Time walked) {
    if (rounds_ > 0 && is_as_pushed(app_, task_, scanned)) co_return Result<>();
    if (rounds_ == 0 && last_told_.empty()) tell_problems(app_, scanned);
    const Result<> connected = co_await connect();
    if (!connected) co_return connected;
    const Result<transfer::Finished> finished =
        co_await push_scanned(app_, *connection_, task_, scanned, walked);
    if (!finished) co_return fail(finished.error());
    version_ = finished->committed.version;
    // Files that were touched lately are offered although they may be as they were.
    if (rounds_ > 0 && finished->committed.existed) co_return Result<>();
    if (rounds_ > 0) tell_problems(app_, scanned);
    tell_end(app_, *finished, scanned, app_.env.now() - began);
    if (rounds_++ == 0) tell_watching();
    co_return Result<>();
  }

  // One standing session; another one where it has ended.
  io::Task<Result<>> connect() {
    if (connection_ && connection_->ended()) {
      co_await connection_->close();
      connection_.reset();
      task_.trace.clear();  // a trace is of one session
      task_.telemetry.clear();
    }
    if (connection_) co_return Result<>();
    Result<std::unique_ptr<Connection>> made =
        Connection::make(app_, task_.site, connect_options(task_));
    if (!made) co_return fail(made.error());
    connection_ = *std::move(made);
    co_return Result<>();
  }

  void judge(const Error& error) {
    if (error.kind() == Kind::kInterrupted) {
      stopped_ = true;
      cut_short_ = true;
      return;
    }
    if (!may_mend_itself(error.kind(), rounds_ > 0)) {
      fatal_ = error;
      return;
    }
    if (error.message() == last_told_) return;  // once
    last_told_ = error.message();
    const cli::Explanation told = cli::explain(error);
    if (app_.json) {
      cli::JsonLine line;
      line.add("event", "retry").add("kind", name_of(error.kind())).add("what", told.what);
      app_.json_line(line.add("why", told.why));
    } else {
      app_.console.err(told.what + ": " + told.why + "; trying again until it works\n");
    }
  }

  void tell_watching() {
    const auto blind = watch_->blind();
    if (app_.json) {
      cli::JsonLine line;
      line.add("event", "watching").add("polling", blind.has_value());
      app_.json_line(line.add("why", blind ? blind->why() : ""));
      return;
    }
    app_.console.err("watching " + printable(task_.scan.source) + "; Ctrl-C ends it\n");
    if (blind) {
      app_.console.err(fmt::format("  looking every {}, as {}; {}\n",
                                   cli::human(io::TreeWatch::kPoll), blind->why(),
                                   blind->advice()));
    }
  }

  int tell_stopped() {
    const bool whole = rounds_ > 0 && !cut_short_ && !heard_ && !debounce_.failed();
    const std::string version = version_ ? fmt::format("v{:06}", *version_) : "";
    if (app_.json) {
      cli::JsonLine line;
      line.add("event", "stopped").add("dataset", task_.dataset).add("version", version);
      app_.json_line(line.add("whole", whole).add("exit_code", int{cli::kInterruptedByUser}));
      return cli::kInterruptedByUser;
    }
    const std::string place = task_.site.name + ":" + task_.dataset;
    if (whole) {
      app_.console.err("stopped; " + place + "@" + version + " has every change seen until now\n");
    } else {
      app_.console.err("stopped before all of it was at " + place +
                       "; run the same command again: what has arrived is not sent twice\n");
    }
    return cli::kInterruptedByUser;
  }

  io::Task<> hear_changes() {
    while (!closing_) {
      const bool changed = co_await watch_->changed();
      if (!changed) break;
      debounce_.on_change(app_.env.now());
      heard_ = true;
      woken_.notify();
      co_await app_.env.sleep_until(app_.env.now() + kSettle);
    }
  }
  io::Task<> keep_time() {
    while (!closing_) {
      co_await alarm_->ring();
      woken_.notify();
    }
  }
  io::Task<> close() {
    closing_ = true;
    alarm_->set(app_.env.now());
    if (watch_) watch_->close();
    if (connection_) co_await connection_->close();
    co_await tasks_.join();
  }

  App& app_;
  PushTask task_;
  Debounce debounce_;
  io::Signal woken_;
  std::unique_ptr<io::Alarm> alarm_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<io::TreeWatch> watch_;
  io::TaskGroup tasks_;
  std::uint64_t rounds_ = 0;  // that made a version, or found that there was nothing to make
  std::optional<std::uint64_t> version_;
  std::optional<Error> fatal_;
  std::string last_told_;
  bool heard_ = false;  // of a change that no round has seen
  bool stopped_ = false, cut_short_ = false, closing_ = false;
};

}  // namespace

bool may_mend_itself(Kind kind, bool pushed_before) {
  switch (kind) {
    case Kind::kLink:
    case Kind::kTimeout:
    case Kind::kChanged:
    case Kind::kBusy:
      return true;
    case Kind::kIo:
    case Kind::kNoSpace:
    case Kind::kPermission:
    case Kind::kNotFound:
      return pushed_before;
    case Kind::kExists:
    case Kind::kUsage:
    case Kind::kAuth:
    case Kind::kIntegrity:
    case Kind::kMalformed:
    case Kind::kLimit:
    case Kind::kUnsupported:
    case Kind::kPartial:
    case Kind::kInterrupted:
      return false;
  }
  return false;
}

io::Task<int> push_watch(App& app, PushTask task) {
  const auto watcher = std::make_unique<Watcher>(app, std::move(task));
  co_return co_await watcher->run();
}

}  // namespace longhaul::proxy
