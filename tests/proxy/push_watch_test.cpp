#include "proxy/push_watch.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "lib/cli/exit_code.hpp"
#include "lib/io/asio_env.hpp"

namespace longhaul::proxy {
namespace {

TEST(PushWatch, GoesOnWhereWaitingMayHelp) {
  for (const Kind kind : {Kind::kLink, Kind::kTimeout, Kind::kChanged, Kind::kBusy}) {
    EXPECT_TRUE(may_mend_itself(kind, false)) << name_of(kind);
    EXPECT_TRUE(may_mend_itself(kind, true)) << name_of(kind);
  }
  // From the start they are a mistake in the command; later, something that happened.
  for (const Kind kind : {Kind::kNotFound, Kind::kNoSpace, Kind::kPermission, Kind::kIo}) {
    EXPECT_FALSE(may_mend_itself(kind, false)) << name_of(kind);
    EXPECT_TRUE(may_mend_itself(kind, true)) << name_of(kind);
  }
  for (const Kind kind : {Kind::kAuth, Kind::kUsage, Kind::kUnsupported, Kind::kMalformed,
                          Kind::kIntegrity, Kind::kLimit, Kind::kInterrupted})
    EXPECT_FALSE(may_mend_itself(kind, true)) << name_of(kind);
}

io::Task<> watch_stopped(App& app, PushTask task, int& code) {
  app.stop_asked();
  code = co_await push_watch(app, std::move(task));
}

// Ctrl-C while nobody listens yet: the command must not go on as if nothing had been said.
TEST(PushWatch, ObeysAStopThatCameBeforeItBegan) {
  char name[] = "/tmp/push-watch-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  cli::StringConsole console;
  NoLog log;
  io::AsioEnv env;
  const HomePaths home{folder + "/config", folder + "/state"};
  App app{env, console, log, home, cli::Config([](const std::string&) { return std::nullopt; })};
  PushTask task;
  task.site.name = "lab";
  task.dataset = "corpus";
  task.scan.source = folder;
  int code = -1;
  env.run(watch_stopped(app, std::move(task), code), {});
  EXPECT_EQ(code, cli::kInterruptedByUser);
  EXPECT_TRUE(console.err_text.starts_with("stopped before all of it")) << console.err_text;
  std::filesystem::remove_all(folder);
}

TEST(App, TellsWhoeverListensLaterThatAStopCame) {
  cli::StringConsole console;
  NoLog log;
  io::AsioEnv env;
  App app{env, console, log, {}, cli::Config([](const std::string&) { return std::nullopt; })};
  int told = 0;
  app.when_stopped([&told] { ++told; });
  EXPECT_EQ(told, 0);
  app.stop_asked();
  app.on_stop = nullptr;
  app.when_stopped([&told] { ++told; });
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace longhaul::proxy
