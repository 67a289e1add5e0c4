#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <numeric>

#include "lib/cli/human.hpp"
#include "proxy/run_text.hpp"
#include "proxy/top_view.hpp"

namespace longhaul::proxy {
namespace {

using screen::At;
using screen::Canvas;
using screen::Ink;
using screen::Size;

std::string clock_text(WallTime at) {
  const std::time_t seconds = at.ns / 1'000'000'000;
  return fmt::format("{:%H:%M:%S}", fmt::gmtime(seconds));
}

void draw_head(Canvas& canvas, const TopScene& scene) {
  const int width = canvas.size().columns;
  const feed::RunModel& run = scene.run;
  const std::string state = state_text(scene);
  const bool bad = state.starts_with("silent") || state.starts_with("no ");
  int column = canvas.put({1, 0}, scene.place, Ink::kStrong, std::max(width / 2 - 2, 8));
  column = canvas.put({column + 2, 0}, state, bad ? Ink::kWarn : Ink::kGood, width - column - 12);
  if (run.newest_attempt() > 0) {
    const auto& attempt = run.attempts().rbegin()->second;
    std::string text = fmt::format("attempt {}", run.newest_attempt());
    if (!attempt.host.empty()) text += " on " + attempt.host;
    canvas.put({column + 2, 0}, text, Ink::kFaint, width - column - 12);
  }
  canvas.put_before({width - 1, 0}, clock_text(scene.wall), Ink::kFaint, 8);

  std::uint64_t recorded = 0, here = 0, dropped = 0, lost = 0;
  for (const auto& [number, attempt] : run.attempts()) {
    recorded += std::max(attempt.recorded, attempt.next);
    here += attempt.next;
    dropped += attempt.dropped;
    lost += attempt.lost;
  }
  column = canvas.put({1, 1}, fmt::format("live at step {}", run.live_step()), Ink::kStrong);
  column = canvas.put({column, 1}, fmt::format(", complete to step {}", run.complete_step()));
  const std::string behind =
      recorded > here ? fmt::format("{} records on their way", recorded - here) : "all is here";
  column = canvas.put({column + 2, 1}, behind, Ink::kFaint);
  if (dropped > 0)
    column = canvas.put({column + 2, 1}, fmt::format("{} dropped", dropped), Ink::kBad);
  if (lost > 0) canvas.put({column + 2, 1}, fmt::format("{} lost", lost), Ink::kBad);
}

void draw_charts(Canvas& canvas, const TopScene& scene, const TopState& state,
                 const TopRows& rows) {
  const feed::RunModel& run = scene.run;
  const auto names = top_series(run, state);
  if (names.empty()) {
    const bool none = run.series().empty();
    canvas.put({1, rows.charts}, none ? "no points yet" : "no series of that name", Ink::kFaint);
    return;
  }
  const TopGrid grid = grid_of(names.size(), canvas.size().columns, rows.chart_count);
  const std::size_t places = grid.places();
  const std::size_t first = std::min(state.page * places, (names.size() - 1) / places * places);
  ChartFrame frame;
  frame.log = state.log;
  frame.to = std::max(run.live_step(), run.complete_step()) + 1;
  frame.from = frame.to;
  for (const auto& [name, series] : run.series())
    if (series.curve.size() > 0)
      frame.from = std::min(frame.from, series.curve.points().front().step);
  if (state.held) frame.to = std::min(frame.to, *state.held + 1);
  frame.from = std::min(frame.from, frame.to - 1);
  frame.from = frame.to - std::max<std::uint64_t>((frame.to - frame.from) >> state.zoom, 1);
  for (std::size_t i = first; i < std::min(first + places, names.size()); ++i) {
    const int place = static_cast<int>(i - first);
    const int column = place / grid.rows, row = place % grid.rows;
    const auto edge = [](int whole, int part, int parts) { return whole * part / parts; };
    frame.at = {edge(canvas.size().columns, column, grid.columns),
                rows.charts + edge(rows.chart_count, row, grid.rows)};
    frame.size = {edge(canvas.size().columns, column + 1, grid.columns) - frame.at.column,
                  rows.charts + edge(rows.chart_count, row + 1, grid.rows) - frame.at.row};
    draw_chart(canvas, frame, run, names[i], run.series().at(names[i]));
  }
}

void draw_marks(Canvas& canvas, const TopScene& scene, const TopRows& rows) {
  const int width = canvas.size().columns;
  int row = rows.marks + rows.mark_count - 1;
  const auto& marks = scene.run.marks();
  if (marks.empty()) canvas.put({1, row}, "no marks yet", Ink::kFaint);
  for (auto at = marks.rbegin(); at != marks.rend() && row >= rows.marks; ++at, --row) {
    const bool again = at->second.event.kind == run::EventKind::kResumed;
    canvas.put({1, row}, again ? "◆" : "▲", Ink::kWarn);
    const int column = canvas.put({3, row}, fmt::format("step {}", at->second.event.step));
    canvas.put({column + 2, row}, mark_text(at->second), Ink::kPlain, width - column - 3);
  }
}

// "1.2 MB/s  live 3 %  backfill 97 %"
std::string lanes_text(const std::array<double, session::kLaneCount>& rates) {
  const double all = std::accumulate(rates.begin(), rates.end(), 0.0);
  if (all < 1) return "nothing";
  std::string text = cli::human(BytesPerSecond(static_cast<std::uint64_t>(all)));
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const double part = 100 * rates[i] / all;
    if (part >= 0.5)
      text += fmt::format("  {} {:.0f} %", session::name_of(static_cast<session::Lane>(i)), part);
  }
  return text;
}

std::string ms_text(Duration span) {
  const double ms = std::chrono::duration<double, std::milli>(span).count();
  return ms < 10 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.0f} ms", ms);
}

// Round trips as bars of eight heights, oldest first.
void draw_round_trips(Canvas& canvas, const LinkModel& link, At at, int columns) {
  const auto& past = link.round_trips();
  if (past.empty() || columns < 8) return;
  const auto most = *std::max_element(past.begin(), past.end());
  const auto count = std::min<std::size_t>(past.size(), static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < count; ++i) {
    const Duration one = past[past.size() - count + i];
    const auto height =
        static_cast<char32_t>(7 * one.count() / std::max<std::int64_t>(most.count(), 1));
    canvas.set({at.column + static_cast<int>(i), at.row}, U'▁' + height, Ink::kCurve);
  }
}

void draw_link(Canvas& canvas, const TopScene& scene, const TopRows& rows) {
  if (rows.link_count == 0) return;
  const int width = canvas.size().columns;
  const auto& status = scene.link.status();
  const Wait* waits = scene.link.waiting(Waiter::kLink);
  if (!status) {
    canvas.put({1, rows.link}, "link    no session: connecting", Ink::kWarn, width - 2);
  } else {
    const bool udp = status->datagrams;
    const Duration rtt = udp ? status->datagram_rtt : status->rtt;
    const Duration least = udp ? status->datagram_rate.rtt_min : status->rtt_min;
    const Duration queue = udp ? status->datagram_rate.queue : status->queue;
    const std::uint32_t loss = udp ? status->datagram_rate.loss_ppm : status->loss_ppm;
    std::string text =
        fmt::format("link    {}  RTT {} (least {})  queue {}  loss {:.2f} %", udp ? "UDP" : "TLS",
                    ms_text(rtt), ms_text(least), ms_text(queue), static_cast<double>(loss) / 1e4);
    const bool silent = scene.link.silent().count() > 0;
    if (silent) text = "link    silent for " + cli::human(scene.link.silent());
    if (!status->up) text = "link    down";
    const bool well = status->up && !silent;
    if (!well) text += ": the run is unaffected, what it records waits there";
    const int column = canvas.put({1, rows.link}, text, well ? Ink::kPlain : Ink::kWarn, width - 2);
    if (well) draw_round_trips(canvas, scene.link, {column + 2, rows.link}, width - column - 3);
  }
  std::string why = status ? std::string(wait_of(*status)) : "connecting";
  if (waits != nullptr) why = waits->why + " for " + cli::human(waits->lasted);
  std::string out = "to it   " + lanes_text(scene.link.sent());
  if (status && status->queued_bytes > 0)
    out += fmt::format("  {} wait", cli::human(ByteCount(status->queued_bytes)));
  canvas.put({1, rows.link + 1}, out + "  waits for: " + why,
             waits != nullptr ? Ink::kWarn : Ink::kPlain, width - 2);
  canvas.put({1, rows.link + 2}, "from it " + lanes_text(scene.link.received()), Ink::kPlain,
             width - 2);
}

void draw_waits(Canvas& canvas, const TopScene& scene, const TopRows& rows) {
  if (rows.wait_count == 0) return;
  const auto& waits = scene.link.waits();
  int row = rows.waits + rows.wait_count - 1;
  if (waits.empty()) canvas.put({1, row}, "stalls  none seen", Ink::kFaint);
  int left = static_cast<int>(waits.size());
  for (auto at = waits.rbegin(); at != waits.rend() && row >= rows.waits; ++at, --row, --left) {
    std::string text = fmt::format("{}  {} {} {}", clock_text(at->began),
                                   at->of == Waiter::kRun ? "the run" : "the link",
                                   at->over ? "waited" : "waits", cli::human(at->lasted));
    text += ": " + at->why;
    if (row == rows.waits && left > 1) text += fmt::format("  (and {} before)", left - 1);
    canvas.put({1, row}, row == rows.waits + rows.wait_count - 1 ? "stalls" : "", Ink::kPlain);
    canvas.put({9, row}, text, at->over ? Ink::kPlain : Ink::kWarn, canvas.size().columns - 10);
  }
}

void draw_keys(Canvas& canvas, const TopScene& scene, const TopState& state, Size size) {
  const int row = size.rows - 1;
  if (state.typing) {
    const int column = canvas.put({1, row}, "show only: ", Ink::kStrong);
    canvas.put({column, row}, state.filter + "_", Ink::kAccent, size.columns - column - 1);
    return;
  }
  std::string text = "q quit  ? help  / filter  1-9 alone  space hold  +- zoom";
  if (size.columns >= 100) text += "  l log  m link  PgUp PgDn";
  const std::size_t count = top_series(scene.run, state).size();
  const std::size_t places =
      grid_of(count, size.columns, rows_of(scene, state, size).chart_count).places();
  std::string now;
  if (count > places)
    now += fmt::format("page {}/{} ", std::min(state.page, (count - 1) / places) + 1,
                       (count + places - 1) / places);
  if (state.held) now += fmt::format("held at step {} ", *state.held);
  if (!state.filter.empty()) now += "only " + state.filter + " ";
  if (state.zoom > 0) now += fmt::format("last 1/{} ", 1U << state.zoom);
  if (state.log) now += "log ";
  const int used = screen::columns_of(now);
  canvas.put({1, row}, text, Ink::kFaint, size.columns - 2 - used);
  canvas.put_before({size.columns - 1, row}, now, Ink::kWarn, size.columns / 2);
}

void draw_help(Canvas& canvas, Size size) {
  constexpr std::string_view kLines[] = {
      "q, Ctrl-C     leave; the run goes on",
      "/             only series whose names hold this; Esc: all",
      "1 .. 9        this chart alone; 0 or Esc: all",
      "PgUp, PgDn    other charts (also arrows, Tab)",
      "space         hold the charts at this step; again: go on",
      "+ -           zoom in on the last steps, and out",
      "l             logarithmic values",
      "m             link and stalls on or off",
      "",
      "on an axis    ▲ a command or note took effect   ◆ resumed",
      "              ─ history is complete   ┄ still to come",
      "on a curve    ● newest value   ! not a number",
  };
  constexpr int kWide = 64;
  const int rows = static_cast<int>(std::size(kLines)) + 2;
  const int left = std::max((size.columns - kWide) / 2, 0);
  const int top = std::max((size.rows - rows) / 2, 0);
  for (int row = 0; row < rows; ++row) canvas.fill({left, top + row}, kWide, U' ', Ink::kPlain);
  canvas.fill({left, top}, kWide, U'─', Ink::kAccent);
  canvas.put({left + 2, top}, " keys ", Ink::kStrong);
  for (int row = 0; row + 2 < rows; ++row)
    canvas.put({left + 2, top + 1 + row}, kLines[row], Ink::kPlain, kWide - 3);
  canvas.fill({left, top + rows - 1}, kWide, U'─', Ink::kAccent);
}

}  // namespace

Canvas draw_top(const TopScene& scene, const TopState& state, Size size) {
  Canvas canvas(size);
  if (size.columns < kTopLeast.columns || size.rows < kTopLeast.rows) {
    canvas.put({0, 0}, fmt::format("too small: {}x{} at least", kTopLeast.columns, kTopLeast.rows));
    return canvas;
  }
  const TopRows rows = rows_of(scene, state, size);
  draw_head(canvas, scene);
  draw_charts(canvas, scene, state, rows);
  draw_marks(canvas, scene, rows);
  draw_link(canvas, scene, rows);
  draw_waits(canvas, scene, rows);
  draw_keys(canvas, scene, state, size);
  if (state.help) draw_help(canvas, size);
  return canvas;
}

}  // namespace longhaul::proxy
