#include "streamer/live.hpp"

#include <gtest/gtest.h>

namespace longhaul::test {
namespace {

using streamer::Live;

struct Sessions {
  std::map<wire::SessionToken, std::shared_ptr<Live>> all;
  std::shared_ptr<Live> add(std::uint8_t peer, Duration began, std::optional<Duration> down = {}) {
    auto live = std::make_shared<Live>();
    live->peer.fill(std::byte{peer});
    live->token[0] = static_cast<std::byte>(all.size());
    live->began = Time() + began;
    if (down) live->down_since = Time() + *down;
    return all[live->token] = live;
  }
  std::vector<std::shared_ptr<Live>> abandoned_at(Duration now) const {
    return streamer::abandoned(all, Time() + now);
  }
};

// R1: a push that was killed and begun again must not find its dataset held.
TEST(Abandoned, AKilledPeersSessionEndsForItsNextOne) {
  Sessions sessions;
  const auto killed = sessions.add(1, 10s, 20s);
  sessions.add(1, 21s);
  EXPECT_TRUE(sessions.abandoned_at(22'999ms).empty());  // the link may have blinked
  EXPECT_EQ(sessions.abandoned_at(23s), std::vector{killed});
}

TEST(Abandoned, AnotherPeersSessionShowsNothing) {
  Sessions sessions;
  sessions.add(1, 10s, 20s);
  sessions.add(2, 21s);
  EXPECT_TRUE(sessions.abandoned_at(600s).empty());
}

TEST(Abandoned, AllStayWhileTheLinkIsDead) {
  Sessions sessions;
  sessions.add(1, 10s, 20s);
  sessions.add(1, 15s, 20s);
  EXPECT_TRUE(sessions.abandoned_at(600s).empty());
}

TEST(Abandoned, ALivingSessionStaysBesideANewerOne) {
  Sessions sessions;
  sessions.add(1, 10s);
  sessions.add(1, 21s);
  EXPECT_TRUE(sessions.abandoned_at(600s).empty());
}

TEST(Abandoned, AnOlderOneThatIsAliveDoesNotReplaceTheNewer) {
  Sessions sessions;
  sessions.add(1, 10s);  // a long push
  sessions.add(1, 15s, 20s);
  EXPECT_TRUE(sessions.abandoned_at(600s).empty());
}

}  // namespace
}  // namespace longhaul::test
