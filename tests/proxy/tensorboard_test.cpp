#include "proxy/tensorboard.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace longhaul::proxy {
namespace {

// Records [first, next) of a log: its start, two names, then a point of each in turn.
feed::Took stretch(std::uint64_t first, std::uint64_t next) {
  feed::Took took;
  took.attempt = 1;
  took.after = took.first = first;
  took.next = next;
  for (std::uint64_t number = first; number < next; ++number) {
    const run::SeriesId series(number % 2 == 0 ? 0 : 1);
    if (number == 0)
      took.entries.push_back({number, run::Start{1, WallTime{5'000'000'000}, 7, {"gpu"}, {"{}"}}});
    else if (number < 3)
      took.entries.push_back({number, run::NameSeries{series, {number == 1 ? "a" : "b"}}});
    else if (number % 50 == 0)
      took.entries.push_back({number, run::Drops{number}});
    else
      took.points.push_back(
          {series, number, WallTime{static_cast<std::int64_t>(number)}, double(number)});
  }
  return took;
}

std::string written(const std::string& folder,
                    const std::vector<std::vector<feed::Took>>& processes) {
  std::filesystem::remove_all(folder);
  for (const auto& stretches : processes) {
    const auto events = EventFolder::open(folder).value();
    for (const feed::Took& took : stretches) EXPECT_TRUE(events->take(took).has_value());
    EXPECT_TRUE(events->sync().has_value());
  }
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().filename().string().find("tfevents") == std::string::npos) continue;
    std::ifstream in(file.path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  return {};
}

TEST(EventFolder, NoPointIsWrittenTwiceWhereverTheStretchesEnd) {
  const std::string folder = testing::TempDir() + "longhaul-events";
  const std::string whole = written(folder, {{stretch(0, 400)}});
  EXPECT_GT(whole.size(), 300U * 30);
  EXPECT_EQ(
      written(folder, {{stretch(0, 170)}, {stretch(0, 90), stretch(90, 260)}, {stretch(0, 400)}}),
      whole);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace longhaul::proxy
