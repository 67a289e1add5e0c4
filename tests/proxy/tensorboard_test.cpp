#include "proxy/tensorboard.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

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
    const auto events = EventFolder::open(folder, "here/a").value();
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

// Of this process alone: tests run beside each other, each in a process of its own.
std::string folder_of_this_process() {
  return testing::TempDir() + "longhaul-events-" + std::to_string(::getpid());
}

TEST(EventFolder, NoPointIsWrittenTwiceWhereverTheStretchesEnd) {
  const std::string folder = folder_of_this_process();
  const std::string whole = written(folder, {{stretch(0, 400)}});
  EXPECT_GT(whole.size(), 300U * 30);
  EXPECT_EQ(
      written(folder, {{stretch(0, 170)}, {stretch(0, 90), stretch(90, 260)}, {stretch(0, 400)}}),
      whole);
  std::filesystem::remove_all(folder);
}

class EventFolderTest : public testing::Test {
 protected:
  EventFolderTest() { std::filesystem::remove_all(folder_); }
  ~EventFolderTest() override { std::filesystem::remove_all(folder_); }
  void write(const feed::Took& took) {
    const auto events = EventFolder::open(folder_, "here/a").value();
    ASSERT_TRUE(events->take(took).has_value());
    ASSERT_TRUE(events->sync().has_value());
  }
  const std::string folder_ = folder_of_this_process();
};

TEST_F(EventFolderTest, TakesNoOtherRunsPoints) {
  write(stretch(0, 100));
  const Error others = EventFolder::open(folder_, "here/b").error();
  EXPECT_EQ(others.kind(), Kind::kExists);
  EXPECT_EQ(others.why(), "it holds those of here/a");
  EXPECT_EQ(others.advice(), "give another folder, or remove this one");
  EXPECT_TRUE(EventFolder::open(folder_, "here/a").has_value());
}

TEST_F(EventFolderTest, TakesNoPointsOfARunThatWasBegunAnewUnderTheSameName) {
  write(stretch(0, 100));
  const auto events = EventFolder::open(folder_, "here/a").value();
  feed::Took other = stretch(0, 400);
  std::get<run::Start>(other.entries[0].record).at.ns += 1;
  EXPECT_EQ(events->take(other).error().kind(), Kind::kExists);
}

TEST_F(EventFolderTest, DoesNotFillWhatSomebodyCutOffWithZeros) {
  write(stretch(0, 100));
  for (const auto& file : std::filesystem::directory_iterator(folder_))
    if (file.path().filename().string().find("tfevents") != std::string::npos)
      std::filesystem::resize_file(file.path(), 20);
  const Error shorter = EventFolder::open(folder_, "here/a").error();
  EXPECT_EQ(shorter.kind(), Kind::kIntegrity);
  EXPECT_TRUE(shorter.why().ends_with(" is shorter than it was")) << shorter.why();
  EXPECT_EQ(shorter.advice(), "remove the folder: all of it is written anew");
}

}  // namespace
}  // namespace longhaul::proxy
