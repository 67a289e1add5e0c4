// One chart of `top`: name and newest value above, the curve in braille, the axis below with the
// marks of commands. The axis is drawn through up to the complete watermark and broken behind it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/screen/dots.hpp"
#include "proxy/run_text.hpp"
#include "proxy/top_view.hpp"

namespace longhaul::proxy {
namespace {

constexpr int kLabels = 9;  // columns left of the plot

struct Plot {
  screen::At at;
  screen::Size size;
  std::uint64_t from = 0, to = 1;
  double least = 0, greatest = 1;
  bool log = false;

  double height_of(double value) const {
    const double low = log ? std::log(least) : least, high = log ? std::log(greatest) : greatest;
    const double shown = log ? std::log(value) : value;
    return high > low ? (shown - low) / (high - low) : 0.5;
  }
  int y_of(double value) const {
    const int last = size.rows * 4 - 1;
    const double y = (1 - height_of(value)) * last;
    return std::clamp(static_cast<int>(std::lround(y)), 0, last);
  }
  int column_of(std::uint64_t step) const {
    const double part = static_cast<double>(step - from) / static_cast<double>(to - from);
    return std::min(static_cast<int>(part * size.columns), size.columns - 1);
  }
  bool shows(double value) const { return std::isfinite(value) && (!log || value > 0); }
};

// The extremes of what is shown; equal ones are pulled apart.
bool fit(Plot& plot, const std::vector<run::Extremes>& columns, std::optional<double> newest) {
  bool any = false;
  const auto take = [&](double value) {
    if (!plot.shows(value)) return;
    plot.least = any ? std::min(plot.least, value) : value;
    plot.greatest = any ? std::max(plot.greatest, value) : value;
    any = true;
  };
  for (const run::Extremes& column : columns) {
    if (column.finite == 0) continue;
    take(column.least);
    take(column.greatest);
  }
  if (newest) take(*newest);
  if (any && plot.least == plot.greatest && !plot.log) {
    const double apart = std::max(std::abs(plot.least) * 0.05, 1e-12);
    plot.least -= apart;
    plot.greatest += apart;
  }
  return any;
}

void draw_curve(screen::Canvas& canvas, const Plot& plot,
                const std::vector<run::Extremes>& columns) {
  screen::Dots dots(plot.size);
  int last_x = -1, last_y = 0;  // -1: none that the next one is joined to
  for (int x = 0; x < static_cast<int>(columns.size()); ++x) {
    const run::Extremes& one = columns[static_cast<std::size_t>(x)];
    if (one.points > one.finite) {  // a gap, and why
      canvas.set({plot.at.column + x / 2, plot.at.row + plot.size.rows - 1}, U'!',
                 screen::Ink::kBad);
      if (one.finite == 0) last_x = -1;
    }
    if (one.finite == 0 || !plot.shows(one.greatest)) continue;
    const int top = plot.y_of(one.greatest);
    const int bottom = plot.y_of(plot.shows(one.least) ? one.least : plot.least);
    const bool beside = last_x >= 0 && last_x + 1 == x;
    if (last_x >= 0 && !beside) dots.line(last_x, last_y, x, (top + bottom) / 2);
    // To touch its neighbour.
    dots.bar(x, beside ? std::min(top, last_y) : top, beside ? std::max(bottom, last_y) : bottom);
    last_x = x;
    last_y = (top + bottom) / 2;
  }
  dots.draw(canvas, plot.at, screen::Ink::kCurve);
}

void draw_axis(screen::Canvas& canvas, const Plot& plot, const feed::RunModel& run) {
  const int row = plot.at.row + plot.size.rows;
  for (int column = 0; column < plot.size.columns; ++column) {
    const std::uint64_t step = plot.from + (plot.to - plot.from) *
                                               static_cast<std::uint64_t>(column) /
                                               static_cast<std::uint64_t>(plot.size.columns);
    canvas.set({plot.at.column + column, row}, step <= run.complete_step() ? U'─' : U'┄',
               screen::Ink::kFaint);
  }
  const std::string first = fmt::format("{} ", plot.from);
  canvas.put_before({plot.at.column, row}, first, screen::Ink::kFaint, kLabels);
  const std::string last = fmt::format(" {}", plot.to - 1);
  int marked = -1;  // the rightmost column with a mark
  for (const auto& [key, mark] : run.marks())
    if (mark.event.step >= plot.from && mark.event.step < plot.to)
      marked = std::max(marked, plot.column_of(mark.event.step));
  if (marked < plot.size.columns - screen::columns_of(last))
    canvas.put_before({plot.at.column + plot.size.columns, row}, last, screen::Ink::kFaint, 21);
  for (const auto& [key, mark] : run.marks()) {
    if (mark.event.step < plot.from || mark.event.step >= plot.to) continue;
    const bool again = mark.event.kind == run::EventKind::kResumed;
    canvas.set({plot.at.column + plot.column_of(mark.event.step), row}, again ? U'◆' : U'▲',
               screen::Ink::kWarn);
  }
}

}  // namespace

void draw_chart(screen::Canvas& canvas, const ChartFrame& frame, const feed::RunModel& run,
                const std::string& name, const feed::SeriesView& series) {
  using screen::Ink;
  Plot plot;
  plot.at = {frame.at.column + kLabels, frame.at.row + 1};
  plot.size = {frame.size.columns - kLabels - 1, frame.size.rows - 2};
  plot.from = frame.from;
  plot.to = std::max(frame.to, frame.from + 1);
  plot.log = frame.log;
  if (plot.size.columns < 4 || plot.size.rows < 1) return;
  const bool old = series.newest.attempt != run.newest_attempt();
  const std::string value = (old ? "(earlier attempt) " : "") + number_text(series.newest.value);
  const int right = frame.at.column + frame.size.columns - 1;
  canvas.put_before({right, frame.at.row}, value, old ? Ink::kFaint : Ink::kStrong, 28);
  canvas.put({frame.at.column + 1, frame.at.row}, name, Ink::kAccent,
             frame.size.columns - 3 - screen::columns_of(value));
  const auto columns =
      series.curve.columns(plot.from, plot.to, static_cast<std::size_t>(plot.size.columns) * 2);
  const bool fresh = !old && series.newest.step >= plot.from && series.newest.step < plot.to;
  if (fit(plot, columns, fresh ? std::optional(series.newest.value) : std::nullopt)) {
    draw_curve(canvas, plot, columns);
    const auto label = [&](int row, double number) {
      canvas.put_before({plot.at.column - 1, plot.at.row + row}, number_text(number), Ink::kFaint,
                        kLabels - 1);
    };
    label(0, plot.greatest);
    if (plot.size.rows > 1) label(plot.size.rows - 1, plot.least);
    if (fresh && plot.shows(series.newest.value))
      canvas.set({plot.at.column + plot.column_of(series.newest.step),
                  plot.at.row + plot.y_of(series.newest.value) / 4},
                 U'●', Ink::kGood);
  } else {
    canvas.put(plot.at, series.points > 0 ? "no finite value here" : "its history is on its way",
               Ink::kFaint, plot.size.columns);
  }
  draw_axis(canvas, plot, run);
}

}  // namespace longhaul::proxy
