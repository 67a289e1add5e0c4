// netsim link, exec and ctl: a client and a server started by hand on either side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/netsim/emulator/program.hpp"

namespace netsim::test {
namespace {

using ::testing::HasSubstr;

std::string fresh_name() {
  static int count = 0;
  return "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

class LinkByName : public EmulatorTest {
 protected:
  void SetUp() override {
    EmulatorTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(link_.wait_for("down")) << link_.err();  // the last line of its greeting
  }
  std::string name_ = fresh_name();
  Program link_{{"link", "--name", name_, "--rtt", "40ms"}};
};

TEST_F(LinkByName, CommandsOnBothSidesSeeEachOther) {
  const Output a = run_netsim({"exec", name_, "a", "--", "ping", "-c", "1", "198.18.0.2"});
  EXPECT_EQ(a.code, 0) << a.out << a.err;
  const Output b = run_netsim({"exec", name_, "b", "--", "sh", "-c", "ping -c 1 $NETSIM_PEER"});
  EXPECT_EQ(b.code, 0) << b.out << b.err;
  EXPECT_EQ(run_netsim({"exec", name_, "b", "--", "sh", "-c", "exit 9"}).code, 9);
}

TEST_F(LinkByName, ChangesWhileItRuns) {
  EXPECT_EQ(run_netsim({"ctl", name_, "set", "rtt=300ms", "up.loss=nth:2"}).code, 0);
  const auto link = nlohmann::json::parse(run_netsim({"ctl", name_, "link"}).out);
  EXPECT_EQ(link["up"]["delay"], "150ms");
  EXPECT_EQ(link["up"]["loss"], "nth:2");
  const Output ping = run_netsim(
      {"exec", name_, "a", "--", "ping", "-c", "2", "-i", "0.2", "-W", "2", "198.18.0.2"});
  EXPECT_THAT(ping.out, HasSubstr("2 packets transmitted, 1 received"));
  const auto stats = nlohmann::json::parse(run_netsim({"ctl", name_, "stats"}).out);
  EXPECT_EQ(stats["up"]["dropped"]["loss"], 1);
  // The same for who looks often: what packets did, and nothing else.
  const auto counters = nlohmann::json::parse(run_netsim({"ctl", name_, "counters"}).out);
  EXPECT_EQ(counters["up"]["dropped"]["loss"], 1);
  EXPECT_GT(counters["down"]["bytes_out"], 0);
  EXPECT_EQ(counters.size(), 2U) << counters;
}

TEST_F(LinkByName, AnOutageStopsEverything) {
  EXPECT_EQ(run_netsim({"ctl", name_, "outage", "1h"}).code, 0);
  EXPECT_EQ(run_netsim({"exec", name_, "a", "--", "ping", "-c", "1", "-W", "1", "198.18.0.2"}).code,
            1);
}

TEST_F(LinkByName, RefusesNonsenseAndGoesOn) {
  for (const std::string words : {"rtt=soon", "loss=200%", "nonsense=1"})
    EXPECT_EQ(run_netsim({"ctl", name_, "set", words}).code, 2) << words;
  EXPECT_EQ(run_netsim({"ctl", name_, "dance"}).code, 2);
  EXPECT_EQ(run_netsim({"exec", name_, "c", "--", "true"}).code, 2);
  EXPECT_EQ(run_netsim({"ctl", name_, "stats"}).code, 0);
}

TEST_F(LinkByName, GoingDownEndsItsCommands) {
  Program command({"exec", name_, "b", "--", "sh", "-c", "echo ready; sleep 1000"});
  ASSERT_TRUE(command.wait_for("ready"));
  EXPECT_EQ(run_netsim({"ctl", name_, "down"}).code, 0);
  EXPECT_EQ(command.wait(), 125);
  EXPECT_TRUE(command.is_extinct());
  EXPECT_TRUE(link_.is_extinct());
  EXPECT_EQ(run_netsim({"ctl", name_, "stats"}).code, 2);
}

TEST_F(LinkByName, KillNineOfItLeavesNothingAndTheNameIsFreeAgain) {
  link_.kill(SIGKILL);
  link_.wait();
  EXPECT_TRUE(link_.is_extinct());
  Program again({"link", "--name", name_});
  EXPECT_TRUE(again.wait_for("is up")) << again.err();
}

TEST_F(LinkByName, ANameIsTakenOnce) {
  const Output second = run_netsim({"link", "--name", name_});
  EXPECT_EQ(second.code, 125);
  EXPECT_THAT(second.err, HasSubstr("is running"));
}

TEST(LinkName, UnknownOnesAreSaidToBeUnknown) {
  const Output output = run_netsim({"exec", "nobody-made-me", "a", "--", "true"});
  EXPECT_EQ(output.code, 2);
  EXPECT_THAT(output.err, HasSubstr("no such link"));
}

}  // namespace
}  // namespace netsim::test
