// App: what every command of `longhaul` is given: the world, the user's folders and settings, a
// place for words. One command a file; each is a coroutine that returns the program's exit code and
// has said its errors itself.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "lib/base/log.hpp"
#include "lib/base/stage_clock.hpp"
#include "lib/cli/config.hpp"
#include "lib/cli/console.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/io/clocks.hpp"
#include "lib/io/env.hpp"
#include "proxy/home.hpp"

namespace longhaul::proxy {

struct App {
  io::Env& env;
  cli::Console& console;
  Log& log;
  HomePaths home;
  cli::Config config;
  bool json = false;
  std::function<void()> on_stop = {};   // what Ctrl-C means to the command that runs now
  bool stopped = false;                 // it came
  StageClock stages{&io::steady_time};  // where the time of its transfers goes

  void stop_asked() {
    stopped = true;
    if (on_stop) on_stop();
  }
  // From now on; at once if it came when nobody listened.
  void when_stopped(std::function<void()> then) {
    on_stop = std::move(then);
    if (stopped) on_stop();
  }

  // Says the error (as text on stderr, with --json also as a line on stdout) and gives its exit
  // code.
  int failed(const Error& error);
  void json_line(const cli::JsonLine& line) { console.out(line.text() + "\n"); }
};

}  // namespace longhaul::proxy
