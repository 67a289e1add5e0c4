#include "lib/cli/exit_code.hpp"
#include "lib/io/task_group.hpp"
#include "lib/io/terminal.hpp"
#include "lib/screen/paint.hpp"
#include "proxy/commands.hpp"
#include "proxy/run_watch.hpp"
#include "proxy/top_view.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kPaintEvery = 50ms;    // at most, while something changes
constexpr Duration kPaintAlways = 250ms;  // at least: rates and clocks go on
constexpr Duration kOnceWaits = 10s;      // for a history that is long: then what is here is shown
constexpr Duration kLineEvery = 1s;       // with --json, without --once

// Takes in what is told of the run and the link, and is asked for scenes of it.
class TopUser final : public RunUser {
 public:
  TopUser(App& app, std::string place, bool once)
      : app_(app), place_(std::move(place)), once_(once) {}

  void on_event(const feed::Event& event) override {
    if (const auto* took = std::get_if<feed::Took>(&event)) {
      model_.on_took(*took);
    } else if (const auto* heard = std::get_if<feed::Heard>(&event)) {
      model_.on_heard(*heard);
      site_ahead_ = heard->site_time.ns - app_.env.wall().ns;
    } else if (const auto* fresh = std::get_if<feed::Fresh>(&event)) {
      model_.on_fresh(*fresh);
      live_ = true;
    } else if (const auto* opened = std::get_if<feed::Opened>(&event); opened && !opened->error) {
      if (!opened_at_) opened_at_ = app_.env.now();
    }
    changed_ = true;
  }

  void on_tick(Time now, Connection* connection) override {
    const WallTime wall = app_.env.wall();
    if (connection == nullptr) {
      link_.on_status(now, wall, nullptr);
    } else {
      const session::Status status = connection->session().status();
      link_.on_status(now, wall, &status);
    }
    std::optional<std::string> why;
    const auto silent = silent_for();
    const bool ended = !model_.attempts().empty() && model_.attempts().rbegin()->second.ended;
    if (!ended && silent && *silent > kRunSilent) why = "it writes nothing";
    link_.on_run(now, wall, std::move(why));
  }

  bool done() const override {
    if (state.quit) return true;
    if (!once_ || !opened_at_) return false;
    return (model_.complete() && settled()) || app_.env.now() - *opened_at_ > kOnceWaits;
  }
  void on_stop() override { state.quit = true; }

  TopScene scene() const { return {model_, link_, place_, app_.env.wall(), silent_for()}; }
  bool take_changed() { return std::exchange(changed_, false); }

  TopState state;

 private:
  static constexpr Duration kRunSilent = 10s;
  // A link that was just dialled says little of itself, and the newest values follow at once.
  bool settled() const {
    const auto& status = link_.status();
    return status && status->rtt.count() > 0 && (live_ || app_.env.now() - *opened_at_ > 1s);
  }
  std::optional<Duration> silent_for() const {
    if (model_.wrote().ns == 0 || !site_ahead_) return std::nullopt;
    const std::int64_t site_now = app_.env.wall().ns + *site_ahead_;
    return Duration(std::max<std::int64_t>(site_now - model_.wrote().ns, 0));
  }

  App& app_;
  const std::string place_;
  const bool once_;
  feed::RunModel model_;
  LinkModel link_;
  std::optional<std::int64_t> site_ahead_;  // of our clock, ns
  std::optional<Time> opened_at_;
  bool live_ = false, changed_ = true;
};

// The terminal: what was pressed goes in, frames come out.
class TopScreen {
 public:
  TopScreen(App& app, TopUser& user, io::Terminal& terminal, screen::Look look)
      : app_(app), user_(user), terminal_(terminal), look_(look), tasks_(app.env.executor()) {
    tasks_.spawn(read_keys());
    painting_ = tasks_.spawn(paint());
  }

  io::Task<> close() {
    closing_ = true;
    terminal_.close();
    tasks_.cancel(painting_);
    co_await tasks_.join();
  }

 private:
  screen::Size size() const {
    const io::TerminalSize size = terminal_.size();
    return {size.columns, size.rows};
  }

  io::Task<> read_keys() {
    screen::KeyReader reader;
    while (!closing_) {
      const Result<std::string> bytes = co_await terminal_.read();
      if (!bytes) break;
      for (const screen::Key key : reader.feed(*bytes)) {
        if (key == screen::Key{screen::KeyKind::kControl, 'z'}) {
          terminal_.suspend();
          shown_.reset();
        }
        on_key(user_.state, key, user_.scene(), size());
        pressed_ = true;
      }
    }
    if (!closing_) user_.state.quit = true;  // the terminal is gone
  }

  io::Task<> paint() {
    for (Time at = app_.env.now(); !closing_; at = app_.env.now() + kPaintEvery) {
      co_await app_.env.sleep_until(at);
      const bool due = !painted_at_ || app_.env.now() - *painted_at_ >= kPaintAlways;
      const bool changed = user_.take_changed();
      if (closing_ || user_.state.quit) continue;
      if (!due && !changed && !pressed_ && shown_ && shown_->size() == size()) continue;
      pressed_ = false;
      painted_at_ = app_.env.now();
      screen::Canvas canvas = draw_top(user_.scene(), user_.state, size());
      const std::string bytes = screen::paint(canvas, shown_ ? &*shown_ : nullptr, look_);
      shown_.reset();
      if (terminal_.write(bytes)) shown_ = std::move(canvas);
    }
  }

  App& app_;
  TopUser& user_;
  io::Terminal& terminal_;
  const screen::Look look_;
  std::optional<screen::Canvas> shown_;  // what the terminal shows, if that is known
  std::optional<Time> painted_at_;
  io::TaskGroup tasks_;
  io::TaskId painting_{};
  bool closing_ = false, pressed_ = false;
};

// With --json: a line a second.
class TopLines final : public RunUser {
 public:
  TopLines(App& app, TopUser& user) : app_(app), user_(user) {}
  void on_event(const feed::Event& event) override { user_.on_event(event); }
  void on_tick(Time now, Connection* connection) override {
    user_.on_tick(now, connection);
    if (said_at_ && now - *said_at_ < kLineEvery) return;
    said_at_ = now;
    app_.json_line(top_line(user_.scene()));
  }
  bool done() const override { return user_.done(); }
  void on_stop() override { user_.on_stop(); }

 private:
  App& app_;
  TopUser& user_;
  std::optional<Time> said_at_;
};

void say_once(App& app, const TopUser& user, const TopOptions& options) {
  if (app.json) return app.json_line(top_line(user.scene()));
  TopState state;
  const screen::Canvas canvas = draw_top(
      user.scene(), state, {static_cast<int>(options.columns), static_cast<int>(options.rows)});
  std::string text = screen::plain(canvas, options.unicode);
  text.erase(text.rfind('\n', text.size() - 2) + 1);  // the line of keys
  app.console.out(text);
}

io::Task<Result<>> watch_on_screen(App& app, RunWatch& watch, TopUser& user,
                                   const TopOptions& options) {
  auto terminal = io::Terminal::take(app.env.executor());
  if (!terminal) co_return fail(terminal.error());
  io::Terminal& taken = **terminal;
  TopScreen screen(app, user, taken, {options.color, options.unicode});
  const Result<> ended = co_await watch.run(user);
  co_await screen.close();
  co_return ended;
}

}  // namespace

io::Task<int> top(App& app, TopOptions options) {
  Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  const bool dumb = !app.console.out_is_terminal() || options.dumb;
  const bool once = options.once || (dumb && !app.json);
  if (once && !options.once) app.console.err("no terminal to draw on: what `top --once` shows\n");
  RunWatchOptions watch_options;
  watch_options.persists = !once;
  watch_options.tick = kPaintEvery;
  RunWatch watch(app, *std::move(place), watch_options);
  TopUser user(app, options.place, once);
  Result<> ended;
  if (once) {
    ended = co_await watch.run(user);
  } else if (app.json) {
    TopLines lines(app, user);
    ended = co_await watch.run(lines);
  } else {
    ended = co_await watch_on_screen(app, watch, user, options);
    if (ended || user.state.quit) co_return cli::kOk;
  }
  if (!ended) co_return app.failed(ended.error());
  if (once) say_once(app, user, options);
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
