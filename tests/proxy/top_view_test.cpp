#include "proxy/top_view.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "lib/screen/paint.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::int64_t kNoon = 1'800'000'000'000'000'000;

Time at_ms(std::int64_t ms) {
  return Time(std::chrono::milliseconds(ms));
}
WallTime wall_ms(std::int64_t ms) {
  return {kNoon + ms * 1'000'000};
}

// A run of some hundred steps, and a link that was silent for a while.
struct Watched {
  explicit Watched(std::vector<std::string> names = {"train/loss", "train/lr", "val/loss",
                                                     "time/step"}) {
    feed::Took took;
    took.attempt = 1;
    run::Start start;
    start.at = wall_ms(0);
    start.host = "gpu-7";
    took.entries.push_back({took.next++, start});
    for (std::size_t i = 0; i < names.size(); ++i)
      took.entries.push_back(
          {took.next++, run::NameSeries{run::SeriesId(static_cast<std::uint32_t>(i)), names[i]}});
    run::RunEvent event;
    event.kind = run::EventKind::kApplied;
    event.step = 120;
    event.id = 7;
    event.who = "ana";
    event.text = "lr=0.001";
    took.entries.push_back({took.next++, event});
    for (std::uint64_t step = 0; step < 300; ++step)
      for (std::size_t i = 0; i < names.size(); ++i) add(took, static_cast<std::uint32_t>(i), step);
    run.on_took(took);
    feed::Heard heard;
    heard.attempt = 1;
    heard.recorded = took.next + 40;
    run.on_heard(heard);
    feed::Fresh fresh;
    fresh.attempt = 1;
    fresh.recorded = took.next + 40;
    for (std::uint32_t i = 0; i < names.size(); ++i)
      fresh.values.push_back({i, 320, wall_ms(320), value_of(i, 320)});
    run.on_fresh(fresh);
    session::Status status;
    status.established = status.up = true;
    status.rtt = 183ms;
    status.rtt_min = 180ms;
    status.queue = 2ms;
    status.loss_ppm = 1'200;
    for (std::int64_t ms = 0; ms <= 20'000; ms += 50) {
      status.heard = at_ms(ms < 5'000 || ms > 17'000 ? ms : 5'000);
      status.sent[static_cast<std::size_t>(session::Lane::kDemand)] += 10;
      status.received[static_cast<std::size_t>(session::Lane::kLive)] += 600;
      status.received[static_cast<std::size_t>(session::Lane::kBackfill)] += 200;
      link.on_status(at_ms(ms), wall_ms(ms), &status);
    }
  }
  static double value_of(std::uint32_t series, std::uint64_t step) {
    const double x = static_cast<double>(step);
    if (series == 0) return 3 / std::sqrt(x / 10 + 1) + 0.1 * std::sin(x);
    if (series == 1) return step < 120 ? 0.01 : 0.001;
    if (series == 3 && step > 50 && step < 70) return std::numeric_limits<double>::quiet_NaN();
    return std::sin(x / 20) + series;
  }
  static void add(feed::Took& took, std::uint32_t series, std::uint64_t step) {
    took.points.push_back({run::SeriesId(series), step, wall_ms(static_cast<std::int64_t>(step)),
                           value_of(series, step)});
    ++took.next;
  }
  TopScene scene() const { return {run, link, "asu/group/first", wall_ms(20'000), 3s}; }
  std::string shown(const TopState& state, screen::Size size) const {
    return screen::plain(draw_top(scene(), state, size), true);
  }

  feed::RunModel run;
  LinkModel link;
};

// tests/golden/top/NAME; LONGHAUL_WRITE_GOLDEN=1 writes them anew, to be read before a commit.
void expect_golden(const std::string& shown, const std::string& name) {
  const std::string path = std::string(LONGHAUL_SOURCE_DIR) + "/tests/golden/top/" + name;
  if (std::getenv("LONGHAUL_WRITE_GOLDEN") != nullptr) std::ofstream(path) << shown;
  std::ifstream file(path);
  EXPECT_EQ(shown, std::string((std::istreambuf_iterator<char>(file)), {})) << name;
}

TEST(Top, LooksAsItDid) {
  const Watched watched;
  TopState state;
  expect_golden(watched.shown(state, {80, 24}), "80x24.txt");
  expect_golden(watched.shown(state, {160, 50}), "160x50.txt");
  state.alone = "time/step";
  state.zoom = 1;
  expect_golden(watched.shown(state, {80, 24}), "alone.txt");
  state.help = true;
  expect_golden(watched.shown(state, {100, 30}), "help.txt");
}

TEST(Top, FitsEverySizeAndEveryState) {
  const Watched watched;
  for (int columns = 0; columns < 200; columns += 7) {
    for (int rows = 0; rows < 70; rows += 3) {
      TopState state;
      state.help = columns % 2 == 0;
      state.log = rows % 2 == 0;
      state.zoom = static_cast<unsigned>(columns) % 13;
      state.page = static_cast<std::size_t>(rows);
      if (rows % 5 == 0) state.held = static_cast<std::uint64_t>(rows) * 9;
      const auto canvas = draw_top(watched.scene(), state, {columns, rows});
      EXPECT_EQ(canvas.size(), (screen::Size{columns, rows}));
    }
  }
}

TEST(Top, NamesOfSeriesRunsAndPeopleCannotMoveTheCursor) {
  Watched watched({"\x1b[2J\x1b]0;owned\x07", "a\r\nb", "\xc2\x9b\xff", "loss"});
  TopScene scene = watched.scene();
  scene.place = "asu/\x1b[31m";
  const std::string bytes = screen::paint(draw_top(scene, {}, {80, 24}), nullptr, {});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    ASSERT_TRUE(byte >= 0x20 || byte == 0x1b) << i;
    if (byte != 0x1b) continue;
    const std::size_t end = bytes.find_first_not_of("0123456789;", i + 2);
    const bool clears = bytes.compare(i, 4, "\x1b[2J") == 0 && i < 8;
    ASSERT_TRUE(bytes[i + 1] == '[' && (bytes[end] == 'H' || bytes[end] == 'm' || clears))
        << bytes.substr(i, 12);
  }
}

TEST(Top, AnEmptyRunAndOneOfManySeries) {
  const feed::RunModel none;
  const LinkModel link;
  const TopScene scene{none, link, "asu/first", wall_ms(0), std::nullopt};
  const std::string shown = screen::plain(draw_top(scene, {}, {80, 24}), true);
  EXPECT_NE(shown.find("no points yet"), std::string::npos);
  EXPECT_NE(shown.find("no session: connecting"), std::string::npos);
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("many/" + std::to_string(i));
  const Watched watched(names);
  EXPECT_NE(watched.shown({}, {80, 24}).find("page 1/250"), std::string::npos);
}

void press(TopState& state, std::string_view keys, const Watched& watched) {
  for (const char key : keys)
    on_key(state, {screen::KeyKind::kGlyph, key}, watched.scene(), {80, 24});
}

TEST(Top, KeysDoWhatTheHelpSays) {
  const Watched watched;
  TopState state;
  press(state, "2", watched);
  EXPECT_EQ(state.alone, "val/loss");  // losses first
  press(state, "0/step", watched);
  EXPECT_EQ(state.alone, "");
  EXPECT_EQ(top_series(watched.run, state), std::vector<std::string>{"time/step"});
  on_key(state, {screen::KeyKind::kEnter, 0}, watched.scene(), {80, 24});
  press(state, " ++l", watched);
  EXPECT_EQ(state.held, 320U);
  EXPECT_EQ(state.zoom, 2U);
  EXPECT_TRUE(state.log);
  on_key(state, {screen::KeyKind::kEscape, 0}, watched.scene(), {80, 24});
  EXPECT_EQ(top_series(watched.run, state).size(), 4U);
  press(state, "?q", watched);
  EXPECT_FALSE(state.quit);  // any key ends the help
  press(state, "q", watched);
  EXPECT_TRUE(state.quit);
}

TEST(Top, ZoomGoesOutAgainAndNoFurtherThanAll) {
  const Watched watched;
  TopState state;
  const std::string all = watched.shown(state, {80, 24});
  press(state, "+=", watched);
  EXPECT_EQ(state.zoom, 2U);
  EXPECT_NE(watched.shown(state, {80, 24}).find("last 1/4"), std::string::npos);
  press(state, "---", watched);
  EXPECT_EQ(watched.shown(state, {80, 24}), all);
  press(state, std::string(kTopZoomMax + 5, '+'), watched);
  EXPECT_EQ(state.zoom, kTopZoomMax);
}

TEST(Top, PagesTurnByEveryKeyOfTheHelpAndEndAtBothEnds) {
  using screen::KeyKind;
  std::vector<std::string> names;
  for (int i = 0; i < 9; ++i) names.push_back("s/" + std::to_string(i));
  const Watched watched(names);  // 4 charts a page: 3 pages
  TopState state;
  const auto page_after = [&](KeyKind key) {
    on_key(state, {key, 0}, watched.scene(), {80, 24});
    return state.page;
  };
  for (const auto& [on, back] :
       {std::pair(KeyKind::kPageDown, KeyKind::kPageUp), std::pair(KeyKind::kDown, KeyKind::kUp),
        std::pair(KeyKind::kRight, KeyKind::kLeft)}) {
    for (const std::size_t page : {1U, 2U, 2U}) EXPECT_EQ(page_after(on), page);
    const std::string shown = watched.shown(state, {80, 24});
    EXPECT_NE(shown.find("page 3/3"), std::string::npos);
    EXPECT_NE(shown.find("s/8"), std::string::npos);
    EXPECT_EQ(shown.find("s/7"), std::string::npos);
    for (const std::size_t page : {1U, 0U, 0U}) EXPECT_EQ(page_after(back), page);
  }
  for (const std::size_t page : {1U, 2U, 0U}) EXPECT_EQ(page_after(KeyKind::kTab), page);
  page_after(KeyKind::kPageDown);
  press(state, "1", watched);  // the first of this page
  EXPECT_EQ(state.alone, "s/4");
}

TEST(Top, TheLinkAndItsStallsLeaveTheirRowsToTheChartsOnDemand) {
  const Watched watched;
  TopState state;
  press(state, "m", watched);
  const std::string shown = watched.shown(state, {80, 24});
  EXPECT_EQ(shown.find("stalls"), std::string::npos);
  EXPECT_EQ(shown.find("RTT"), std::string::npos);
  press(state, "m", watched);
  EXPECT_NE(watched.shown(state, {80, 24}).find("RTT"), std::string::npos);
  on_key(state, {screen::KeyKind::kControl, 'c'}, watched.scene(), {80, 24});
  EXPECT_TRUE(state.quit);
}

TEST(LinkModel, SilenceOfTheLinkIsAnEntryWithItsBeginning) {
  const Watched watched;
  ASSERT_EQ(watched.link.waits().size(), 1U);
  const Wait& wait = watched.link.waits()[0];
  EXPECT_EQ(wait.why, "no word of the site");
  EXPECT_TRUE(wait.over);
  EXPECT_EQ(wait.began, wall_ms(5'000));
  EXPECT_NEAR(std::chrono::duration<double>(wait.lasted).count(), 12, 0.1);
  EXPECT_NEAR(watched.link.received()[static_cast<std::size_t>(session::Lane::kLive)], 12'000, 100);
}

TEST(LinkModel, AShortWaitIsNoEntryAndAQuietRunBehindADeadLinkIsNone) {
  LinkModel link;
  session::Status status;
  status.established = status.up = true;
  status.heard = at_ms(0);
  link.on_status(at_ms(0), wall_ms(0), &status);
  link.on_status(at_ms(100), wall_ms(100), nullptr);
  link.on_status(at_ms(400), wall_ms(400), &status);
  EXPECT_TRUE(link.waits().empty());
  for (std::int64_t ms = 500; ms < 9'000; ms += 100) {
    link.on_status(at_ms(ms), wall_ms(ms), &status);
    link.on_run(at_ms(ms), wall_ms(ms), "it writes nothing");
  }
  ASSERT_NE(link.waiting(Waiter::kLink), nullptr);
  EXPECT_EQ(link.waiting(Waiter::kRun), nullptr);
}

TEST(Matches, TakesTheShortestThenMore) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("train/*", "train/loss"));
  EXPECT_TRUE(matches("*a*b*c", "xxaybbzc"));
  EXPECT_FALSE(matches("*a*b*c", "xxaybbzd"));
  EXPECT_FALSE(matches("a", "ab"));
  EXPECT_FALSE(matches(std::string(60, '*').append("b"), std::string(10'000, 'a')));
}

}  // namespace
}  // namespace longhaul::proxy
