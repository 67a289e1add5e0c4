#include "proxy/waiting.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace longhaul::proxy {
namespace {

TEST(Waiting, SaysWhyADialFailed) {
  Waiting waiting;
  waiting.site = "asuncion";
  EXPECT_EQ(words_for(waiting), "connecting");
  waiting.dial = Error(Kind::kLink, "dial gpu:7171", ECONNREFUSED);
  EXPECT_EQ(words_for(waiting), "connecting, dial gpu:7171: Connection refused");
  waiting.dial = Error(Kind::kNotFound, "find gpu", "no such host");
  EXPECT_EQ(words_for(waiting), "connecting, find gpu: no such host");
}

TEST(Waiting, NamesTheDoctorAfterAFewSeconds) {
  Waiting waiting;
  waiting.site = "asuncion";
  waiting.since = 4999ms;
  EXPECT_EQ(words_for(waiting), "connecting");
  waiting.since = 5s;
  EXPECT_EQ(words_for(waiting), "connecting; `longhaul doctor asuncion` looks why");
}

TEST(Waiting, TellsASiteThatCallsFromOneThatIsDialled) {
  Waiting waiting;
  waiting.site = "asuncion";
  waiting.is_called = true;
  EXPECT_EQ(words_for(waiting), "asuncion has not called");
}

TEST(Waiting, SaysForHowLongTheLinkIsGone) {
  Waiting waiting;
  waiting.site = "asuncion";
  waiting.was_linked = true;
  waiting.since = 3s;
  waiting.dial = Error(Kind::kLink, "dial gpu:7171", ENETUNREACH);
  EXPECT_EQ(words_for(waiting), "no link for 3.0 s, dial gpu:7171: Network is unreachable");
}

}  // namespace
}  // namespace longhaul::proxy
