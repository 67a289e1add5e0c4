#include "netsim/testing/trap.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <thread>

namespace netsim {
namespace {

// A death test forks, so the program under the trap is a copy of this one.
template <class F>
void trapped(F&& code) {
  const TrapScope trap;
  code();
}

TEST(TrapDeathTest, StopsRealClocks) {
  EXPECT_DEATH(trapped([] { (void)std::chrono::steady_clock::now(); }), "called clock_gettime");
  EXPECT_DEATH(trapped([] { (void)std::chrono::system_clock::now(); }), "called clock_gettime");
  EXPECT_DEATH(trapped([] { (void)time(nullptr); }), "called time");
  EXPECT_DEATH(trapped([] {
                 timeval now{};
                 gettimeofday(&now, nullptr);
               }),
               "called gettimeofday");
}

TEST(TrapDeathTest, StopsSleeping) {
  EXPECT_DEATH(trapped([] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }), "sleep");
  EXPECT_DEATH(trapped([] { usleep(1); }), "called usleep");
  EXPECT_DEATH(trapped([] { sleep(1); }), "called sleep");
}

TEST(TrapDeathTest, StopsRealRandomness) {
  EXPECT_DEATH(trapped([] { (void)std::random_device{}(); }), "random_device|getentropy");
  EXPECT_DEATH(trapped([] {
                 std::array<char, 4> bytes{};
                 (void)!getrandom(bytes.data(), bytes.size(), 0);
               }),
               "called getrandom");
  EXPECT_DEATH(trapped([] { open("/dev/urandom", O_RDONLY); }), "/dev/urandom");
}

TEST(TrapDeathTest, StopsSockets) {
  EXPECT_DEATH(trapped([] { socket(AF_INET, SOCK_STREAM, 0); }), "called socket");
}

TEST(Trap, LetsEverythingThroughWhenNotSet) {
  const auto before = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(2));
  EXPECT_GT(time(nullptr), 1'600'000'000);
  std::random_device device;
  EXPECT_NE(device() ^ (std::uint64_t{device()} << 32), device());
  const int fd = open("/dev/null", O_WRONLY);
  EXPECT_GE(fd, 0);
  close(fd);
}

TEST(Trap, IsPerThreadAndMayBePaused) {
  const TrapScope trap;
  EXPECT_TRUE(trap_is_set());
  {
    const TrapPause pause;
    EXPECT_FALSE(trap_is_set());
    EXPECT_GT(time(nullptr), 0);
  }
  EXPECT_TRUE(trap_is_set());
}

}  // namespace
}  // namespace netsim
