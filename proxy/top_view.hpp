// What `longhaul top` shows, as a pure function: a run, a link, what the user has pressed, a size
// of the terminal; out comes a canvas. Nothing here reads a clock, a terminal or a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/cli/json_line.hpp"
#include "lib/feed/run_model.hpp"
#include "lib/screen/canvas.hpp"
#include "lib/screen/keys.hpp"
#include "proxy/link_model.hpp"

namespace longhaul::proxy {

// What keys have changed.
struct TopState {
  std::string filter;  // of names of series; '*' stands for anything, else a part will do
  std::string alone;   // one series over the whole area; empty: all
  std::optional<std::uint64_t> held;  // charts end at this step
  std::size_t page = 0;
  unsigned zoom = 0;  // charts show the last 1/2^zoom of the steps
  bool typing = false, help = false, link = true, log = false, quit = false;
};

struct TopScene {
  const feed::RunModel& run;
  const LinkModel& link;
  std::string place;  // SITE/RUN
  WallTime wall;
  std::optional<Duration> silent;  // since the run wrote last; nullopt: not known
};

constexpr screen::Size kTopLeast{40, 10};  // of a terminal; a smaller one is told so
constexpr unsigned kTopZoomMax = 12;

void on_key(TopState& state, screen::Key key, const TopScene& scene, screen::Size size);
screen::Canvas draw_top(const TopScene& scene, const TopState& state, screen::Size size);
cli::JsonLine top_line(const TopScene& scene);  // --json

// The series that a state shows, losses first.
std::vector<std::string> top_series(const feed::RunModel& run, const TopState& state);
// '*' stands for any characters.
bool matches(std::string_view pattern, std::string_view text);
std::string state_text(const TopScene& scene);  // "running", "silent for 2m03s", "ended: done"

// Which rows are for what.
struct TopRows {
  int charts = 0, chart_count = 0;  // first, how many
  int marks = 0, mark_count = 0;
  int link = 0, link_count = 0;
  int waits = 0, wait_count = 0;
  int keys = 0;
};
TopRows rows_of(const TopScene& scene, const TopState& state, screen::Size size);

struct TopGrid {
  int columns = 1, rows = 1;
  std::size_t places() const { return static_cast<std::size_t>(columns * rows); }
};
// As few columns as will show `count` charts; all there is room for if they are more.
TopGrid grid_of(std::size_t count, int columns, int rows);

// A chart: top_chart.cpp.
struct ChartFrame {
  screen::At at;
  screen::Size size;
  std::uint64_t from = 0, to = 1;  // steps
  bool log = false;
};
void draw_chart(screen::Canvas& canvas, const ChartFrame& frame, const feed::RunModel& run,
                const std::string& name, const feed::SeriesView& series);

}  // namespace longhaul::proxy
