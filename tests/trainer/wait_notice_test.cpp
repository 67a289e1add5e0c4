#include "trainer/wait_notice.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace longhaul::trainer {
namespace {

using std::chrono::milliseconds;

// What was said, by the tenth of a second at which it was.
std::vector<std::pair<int, std::string>> said(int tenths,
                                              const std::function<std::string(int)>& lacks) {
  std::vector<std::pair<int, std::string>> out;
  const Time began{std::chrono::hours(3)};
  WaitNotice notice(began);
  for (int i = 0; i < tenths; ++i)
    if (const auto text = notice.due(began + milliseconds(100 * i), lacks(i)))
      out.emplace_back(i, *text);
  return out;
}

TEST(WaitNotice, SaysSinceWhenEverMoreSeldom) {
  const auto out = said(20'000, [](int) { return "chunk 3"; });
  const std::vector<std::pair<int, std::string>> want = {
      {10, "waits for chunk 3, since 1.0 s"},       {100, "waits for chunk 3, since 10.0 s"},
      {600, "waits for chunk 3, since 60.0 s"},     {6600, "waits for chunk 3, since 660.0 s"},
      {12600, "waits for chunk 3, since 1260.0 s"}, {18600, "waits for chunk 3, since 1860.0 s"}};
  EXPECT_EQ(out, want);
}

TEST(WaitNotice, SaysAtOnceWhatItHasBecome) {
  const auto out = said(150, [](int i) { return i < 30 ? "the manifest" : "chunk 0"; });
  const std::vector<std::pair<int, std::string>> want = {
      {10, "waits for the manifest, since 1.0 s"},
      {30, "waits for chunk 0, since 0.0 s"},
      {130, "waits for chunk 0, since 10.0 s"}};
  EXPECT_EQ(out, want);
}

TEST(WaitNotice, OfManyShortWaitsSaysTheOneThatIsOnAfterASecond) {
  const auto out = said(25, [](int i) { return "chunk " + std::to_string(i / 4); });
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out.front().first, 10);
  EXPECT_EQ(out.front().second, "waits for chunk 2, since 0.2 s");
}

}  // namespace
}  // namespace longhaul::trainer
