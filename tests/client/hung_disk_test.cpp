// A disk that hangs holds up no call of a step: here it is asked to delete a command that was
// decided before.
#include <fcntl.h>
#include <sys/syscall.h>

#include <atomic>
#include <string_view>

#include "tests/client/run_fixture.hpp"

namespace {
std::atomic<bool> hangs, held;
}

// In place of the library's, for all of this program.
extern "C" int unlink(const char* path) noexcept {
  if (std::string_view(path).ends_with(".cmd"))
    while (hangs) {
      held = true;
      ::poll(nullptr, 0, 1);
    }
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

namespace longhaul::client {
namespace {

TEST_F(Client, NoCallWaitsForACommandToBeDeleted) {
  auto reporter = Reporter::open(options()).value();
  run::Command command = run::parse_command("lr=0.01").value();
  command.id = 0xABC;
  command.who = wire::Text<255>("ada");
  send(command);
  const auto found = wait_for_command(*reporter, 7);
  ASSERT_TRUE(found.has_value());
  reporter->done(*found, 8, run::EventKind::kApplied, "");
  const fs::path file = root_ / "run/control/0000000000000abc.cmd";
  while (fs::exists(file)) ::poll(nullptr, 0, 10);  // the limit on the test's time bounds these

  hangs = true;
  send(command);  // again, as after a lost answer
  while (!held) ::poll(nullptr, 0, 1);
  reporter->log(reporter->series("loss"), 9, 0.5);
  reporter->event(run::EventKind::kMark, 9, "said while the disk hangs");
  EXPECT_FALSE(reporter->poll(9).has_value());
  reporter->done(*found, 9, run::EventKind::kApplied, "");
  EXPECT_TRUE(fs::exists(file));

  hangs = false;
  reporter->close("done");
  EXPECT_EQ(log(1).events.back().text, "lr=0.01");
}

}  // namespace
}  // namespace longhaul::client
