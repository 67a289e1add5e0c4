#include "proxy/top_view.hpp"

#include <algorithm>
#include <array>

#include "lib/cli/human.hpp"

namespace longhaul::proxy {
namespace {

using screen::KeyKind;
using screen::Size;

constexpr int kChartRows = 7, kChartColumns = 38;  // at least, where there is the room
constexpr std::size_t kChartsAtOnce = 64;
constexpr Duration kSilent = 60s;

std::size_t places_of(const TopScene& scene, const TopState& state, Size size) {
  return grid_of(top_series(scene.run, state).size(), size.columns,
                 rows_of(scene, state, size).chart_count)
      .places();
}

void on_typed(TopState& state, screen::Key key) {
  constexpr std::size_t kFilterMax = 100;
  state.page = 0;
  if (key.kind == KeyKind::kEnter) state.typing = false;
  if (key.kind == KeyKind::kEscape) {
    state.typing = false;
    state.filter.clear();
  }
  if (key.kind == KeyKind::kBackspace && !state.filter.empty()) state.filter.pop_back();
  if (key.kind == KeyKind::kGlyph && state.filter.size() < kFilterMax) state.filter += key.glyph;
}

void on_digit(TopState& state, char digit, const TopScene& scene, Size size) {
  if (digit == '0' || !state.alone.empty()) return state.alone.clear();
  const auto names = top_series(scene.run, state);
  const auto places = places_of(scene, state, size);
  const std::size_t pages = names.empty() ? 0 : (names.size() - 1) / places;
  const std::size_t at =
      std::min(state.page, pages) * places + static_cast<std::size_t>(digit - '1');
  if (at < names.size()) state.alone = names[at];
}

void on_glyph(TopState& state, char glyph, const TopScene& scene, Size size) {
  if (glyph >= '0' && glyph <= '9') return on_digit(state, glyph, scene, size);
  switch (glyph) {
    case 'q':
      state.quit = true;
      return;
    case '?':
    case 'h':
      state.help = true;
      return;
    case '/':
      state.typing = true;
      return;
    case ' ':
      state.held = state.held ? std::nullopt : std::optional(scene.run.live_step());
      return;
    case '+':
    case '=':
      state.zoom = std::min(state.zoom + 1, kTopZoomMax);
      return;
    case '-':
      state.zoom -= state.zoom > 0 ? 1 : 0;
      return;
    case 'l':
      state.log = !state.log;
      return;
    case 'm':
      state.link = !state.link;
      return;
    default:
      return;
  }
}

}  // namespace

TopRows rows_of(const TopScene& scene, const TopState& state, Size size) {
  TopRows rows;
  const int spare = std::clamp(size.rows / 12 - 1, 0, 6);
  rows.keys = size.rows - 1;
  const auto lines = [spare](std::size_t entries) {
    return static_cast<int>(
        std::clamp<std::size_t>(entries, 1, static_cast<std::size_t>(std::max(spare, 1))));
  };
  rows.wait_count = state.link ? lines(scene.link.waits().size()) : 0;
  rows.link_count = state.link ? 3 : 0;
  rows.mark_count = lines(scene.run.marks().size());
  rows.waits = rows.keys - rows.wait_count;
  rows.link = rows.waits - rows.link_count;
  rows.marks = rows.link - rows.mark_count;
  rows.charts = 2;
  rows.chart_count = std::max(rows.marks - rows.charts, 0);
  return rows;
}

TopGrid grid_of(std::size_t count, int columns, int rows) {
  const TopGrid most{std::max(columns / kChartColumns, 1), std::max(rows / kChartRows, 1)};
  const std::size_t wanted = std::clamp<std::size_t>(count, 1, kChartsAtOnce);
  TopGrid grid{1, most.rows};
  while (grid.columns < most.columns && grid.places() < wanted) ++grid.columns;
  while (grid.rows > 1 && TopGrid{grid.columns, grid.rows - 1}.places() >= wanted) --grid.rows;
  return grid;
}

bool matches(std::string_view pattern, std::string_view text) {
  // Where the last '*' stands, and up to where the text has been given to it.
  std::size_t p = 0, t = 0, star = pattern.size(), given = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      given = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star < pattern.size()) {
      p = star + 1;
      t = ++given;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string> top_series(const feed::RunModel& run, const TopState& state) {
  if (!state.alone.empty() && run.series().contains(state.alone)) return {state.alone};
  std::array<std::vector<std::string>, 3> ranks;
  for (const auto& [name, series] : run.series()) {
    if (!state.filter.empty() && !matches("*" + state.filter + "*", name)) continue;
    const bool loss = name.find("loss") != std::string::npos;
    ranks[!loss ? 2 : name == "loss" || name.starts_with("train") ? 0 : 1].push_back(name);
  }
  std::vector<std::string> names;
  for (const auto& rank : ranks) names.insert(names.end(), rank.begin(), rank.end());
  return names;
}

std::string state_text(const TopScene& scene) {
  if (scene.run.attempts().empty()) return "no word of it yet";
  const auto& attempt = scene.run.attempts().rbegin()->second;
  if (attempt.ended) return attempt.why.empty() ? "ended" : "ended: " + attempt.why;
  if (scene.silent && *scene.silent > kSilent) return "silent for " + cli::human(*scene.silent);
  return "running";
}

void on_key(TopState& state, screen::Key key, const TopScene& scene, Size size) {
  if (key == screen::Key{KeyKind::kControl, 'c'}) state.quit = true;
  if (state.typing) return on_typed(state, key);
  if (state.help) {
    state.help = false;
    return;
  }
  switch (key.kind) {
    case KeyKind::kEscape:
      state.alone.clear();
      state.filter.clear();
      return;
    case KeyKind::kPageUp:
    case KeyKind::kUp:
    case KeyKind::kLeft:
      state.page -= state.page > 0 ? 1 : 0;
      return;
    case KeyKind::kPageDown:
    case KeyKind::kDown:
    case KeyKind::kRight:
    case KeyKind::kTab: {
      const auto places = places_of(scene, state, size);
      if ((state.page + 1) * places < top_series(scene.run, state).size())
        ++state.page;
      else if (key.kind == KeyKind::kTab)
        state.page = 0;
      return;
    }
    case KeyKind::kGlyph:
      break;
    default:
      return;
  }
  on_glyph(state, key.glyph, scene, size);
}

}  // namespace longhaul::proxy
