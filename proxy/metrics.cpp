#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/kept.hpp"
#include "proxy/run_text.hpp"
#include "proxy/run_watch.hpp"
#include "proxy/tensorboard.hpp"
#include "proxy/top_view.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kMarksEvery = 1s;  // lines of watermarks, at most

class MetricsUser final : public RunUser {
 public:
  MetricsUser(App& app, const MetricsOptions& options, EventFolder* events)
      : app_(app), options_(options), events_(events) {}

  void on_event(const feed::Event& event) override {
    if (const auto* took = std::get_if<feed::Took>(&event)) {
      model_.on_took(*took);
      keep(*took);
      if (app_.json) say_points(*took);
      if (took->first > took->after) say_lost(*took);
    } else if (const auto* heard = std::get_if<feed::Heard>(&event)) {
      model_.on_heard(*heard);
    } else if (const auto* fresh = std::get_if<feed::Fresh>(&event)) {
      model_.on_fresh(*fresh);
      if (options_.follow) app_.json ? say_live(*fresh) : say_step();
    }
    say_marks();
  }

  void on_tick(Time now, Connection* connection) override {
    std::optional<std::string> reason = std::string("the session ended: connecting anew");
    if (connection != nullptr) reason = wait_reason(*connection, now);
    say_wait(now, reason);
    if (events_ != nullptr && (!synced_at_ || now - *synced_at_ > 5s)) {
      synced_at_ = now;
      sync_events();
    }
    const std::pair<std::uint64_t, std::uint64_t> marks(model_.live_step(), model_.complete_step());
    if (!app_.json || marks == said_marks_ || (marks_at_ && now - *marks_at_ < kMarksEvery)) return;
    marks_at_ = now;
    said_marks_ = marks;
    app_.json_line(watermarks());
  }

  bool done() const override { return !options_.follow && model_.complete(); }
  bool knows_nothing() const { return model_.attempts().empty(); }

  void finish() {
    sync_events();
    if (app_.json) {
      app_.json_line(watermarks());
    } else if (!options_.follow && model_.newest_attempt() > 0) {
      say_table();
    }
  }
  // Why the event files are not whole.
  const std::optional<Error>& no_events() const { return no_events_; }

 private:
  bool wanted(const std::string& name) {
    const auto known = wanted_.find(name);
    if (known != wanted_.end()) return known->second;
    const auto& all = options_.series;
    const bool yes = all.empty() || std::any_of(all.begin(), all.end(), [&name](const auto& one) {
                       return matches(one, name);
                     });
    return wanted_.emplace(name, yes).first->second;
  }
  // `"series":"train/loss"`
  const std::string& series_json(const std::string& name) {
    std::string& text = json_names_[name];
    if (text.empty()) {
      text = cli::JsonLine().add("series", name).text();
      text = text.substr(1, text.size() - 2);
    }
    return text;
  }
  static std::string value_json(double value) {
    return std::isfinite(value) ? fmt::format("{}", value)
                                : fmt::format("null,\"text\":\"{}\"", number_text(value));
  }
  void say_point(std::string& out, const char* type, std::uint32_t attempt, const std::string& name,
                 std::uint64_t step, WallTime at, double value) {
    out += fmt::format(
        "{{\"event\":\"{}\",\"attempt\":{},{},\"step\":{},\"time_ns\":{},\"value\":{}}}\n", type,
        attempt, series_json(name), step, at.ns, value_json(value));
  }
  void say_points(const feed::Took& took) {
    std::string out;
    for (const run::Point& point : took.points) {
      if (point.step < options_.since_step) continue;
      const std::string name = model_.name_of(took.attempt, point.series);
      if (!name.empty() && wanted(name))
        say_point(out, "point", took.attempt, name, point.step, point.at, point.value);
    }
    if (!out.empty()) app_.console.out(out);
  }
  void say_live(const feed::Fresh& fresh) {
    std::string out;
    for (const wire::LiveValue& value : fresh.values) {
      const std::string name = model_.name_of(fresh.attempt, run::SeriesId(value.series));
      auto& said = live_said_[value.series];
      const std::pair<std::uint32_t, std::int64_t> now(fresh.attempt, value.at.ns);
      if (name.empty() || !wanted(name) || said == now || value.step < options_.since_step)
        continue;
      said = now;
      say_point(out, "live", fresh.attempt, name, value.step, value.at, value.value);
    }
    if (!out.empty()) app_.console.out(out);
  }
  // People get the newest values of a step in a line.
  void say_step() {
    if (model_.live_step() == said_step_ || model_.live_step() < options_.since_step) return;
    said_step_ = model_.live_step();
    std::string line = fmt::format("step {:<9}", said_step_);
    for (const auto& [name, series] : model_.series()) {
      if (!wanted(name) || series.newest.attempt != model_.newest_attempt()) continue;
      const std::string one =
          fmt::format("  {} {}", printable(name, 40), number_text(series.newest.value));
      if (line.size() + one.size() > 160) break;
      line += one;
    }
    app_.console.out(line + "\n");
  }
  // News and the history both tell of a mark.
  void say_marks() {
    for (const feed::Mark& mark : model_.take_new_marks()) {
      const bool is_new = marks_said_.insert({mark.attempt, mark.number}).second;
      if (!is_new || mark.event.step < options_.since_step) continue;
      if (app_.json) {
        app_.json_line(event_line(mark));
      } else if (options_.follow) {
        app_.console.out(fmt::format("step {:<9}  -- {}\n", mark.event.step, mark_text(mark)));
      }
    }
  }
  void say_lost(const feed::Took& took) {
    app_.console.err(fmt::format("{} records of attempt {} rotted in the log and are lost\n",
                                 took.first - took.after, took.attempt));
  }
  void say_wait(Time now, const std::optional<std::string>& reason) {
    if (!reason) {
      if (waits_) app_.console.err("the link is back\n");
      waits_.reset();
      return;
    }
    if (waits_ && now - *waits_ < 10s) return;
    // The first second of connecting is no news.
    if (!waits_ && !began_) {
      began_ = now;
      return;
    }
    if (!waits_ && now - *began_ < 2s) return;
    waits_ = now;
    app_.console.err("waiting: " + *reason + "\n");
  }
  cli::JsonLine watermarks() const {
    std::uint64_t recorded = 0, here = 0, dropped = 0, lost = 0;
    for (const auto& [attempt, view] : model_.attempts()) {
      recorded += view.recorded;
      here += view.next;
      dropped += view.dropped;
      lost += view.lost;
    }
    cli::JsonLine line;
    line.add("event", "watermarks").add("attempt", model_.newest_attempt());
    line.add("live_step", model_.live_step()).add("complete_step", model_.complete_step());
    line.add("recorded", recorded).add("here", here).add("dropped", dropped).add("lost", lost);
    return line;
  }
  void say_table() {
    std::string out = fmt::format("{:<36} {:>9} {:>10} {:>10} {:>10} {:>9}\n", "SERIES", "STEP",
                                  "LAST", "LEAST", "GREATEST", "POINTS");
    for (const auto& [name, series] : model_.series()) {
      if (!wanted(name)) continue;
      const auto all = series.curve.columns(options_.since_step, ~std::uint64_t{0}, 1);
      out += fmt::format("{:<36} {:>9} {:>10} {:>10} {:>10} {:>9}\n", printable(name, 36),
                         series.newest.step, number_text(series.newest.value),
                         all[0].finite > 0 ? number_text(all[0].least) : "-",
                         all[0].finite > 0 ? number_text(all[0].greatest) : "-", series.points);
    }
    for (const auto& [key, mark] : model_.marks())
      out += fmt::format("step {:<9}  attempt {}  {}\n", mark.event.step, mark.attempt,
                         mark_text(mark));
    out += fmt::format("complete to step {} of attempt {}\n", model_.complete_step(),
                       model_.newest_attempt());
    app_.console.out(out);
  }
  void keep(const feed::Took& took) {
    if (events_ == nullptr) return;
    if (auto kept = events_->take(took); !kept) end_events(kept.error());
  }
  void sync_events() {
    if (events_ == nullptr) return;
    if (auto kept = events_->sync(); !kept) end_events(kept.error());
  }
  void end_events(const Error& why) {
    if (options_.follow) app_.console.err("no more event files: " + why.message() + "\n");
    no_events_ = why;
    events_ = nullptr;
  }

  App& app_;
  const MetricsOptions& options_;
  EventFolder* events_;
  feed::RunModel model_;
  std::map<std::string, bool> wanted_;
  std::map<std::string, std::string> json_names_;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::int64_t>> live_said_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> marks_said_;
  std::pair<std::uint64_t, std::uint64_t> said_marks_{~std::uint64_t{0}, 0};
  std::uint64_t said_step_ = 0;
  std::optional<Time> waits_, began_, marks_at_, synced_at_;
  std::optional<Error> no_events_;
};

// From the daemon's mirror. nullopt: it has none; ask the site.
io::Task<std::optional<int>> kept_metrics(App& app, const RunPlace& place,
                                          const MetricsOptions& options, EventFolder* events) {
  const std::optional<KeptRun> kept = co_await kept_run(app, place);
  if (!kept) co_return std::nullopt;
  const RunWatchOptions watch_options;
  RunWatch watch(app, place, watch_options);
  MetricsUser user(app, options, events);
  const Result<> read = co_await watch.read_kept(user);
  if (user.knows_nothing()) co_return std::nullopt;
  if (!read) co_return app.failed(read.error());
  if (kept->last.recorded > 0) user.on_event(kept->last);
  user.finish();
  if (user.no_events()) co_return app.failed(*user.no_events());
  tell_age(app, place.site.name, kept->link, kept->heard);
  co_return cli::kOk;
}

}  // namespace

io::Task<int> metrics(App& app, MetricsOptions options) {
  Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  std::unique_ptr<EventFolder> events;
  if (!options.tensorboard.empty()) {
    auto opened = EventFolder::open(options.tensorboard, options.place);
    if (!opened) co_return app.failed(opened.error());
    events = *std::move(opened);
  }
  if (!options.follow) {
    const std::optional<int> kept = co_await kept_metrics(app, *place, options, events.get());
    if (kept) co_return *kept;
  }
  RunWatchOptions watch_options;
  watch_options.live = options.follow;
  watch_options.persists = options.follow;
  RunWatch watch(app, *std::move(place), watch_options);
  MetricsUser user(app, options, events.get());
  const Result<> ended = co_await watch.run(user);
  // What is here of a run that is no more is not the answer.
  if (ended || ended.error().kind() != Kind::kChanged) user.finish();
  if (!ended) co_return app.failed(ended.error());
  if (user.no_events()) co_return app.failed(*user.no_events());
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
