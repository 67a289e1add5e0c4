// DaemonDesk: where the daemon answers commands: requests of this user's processes, a line each,
// over a unix socket (docs/proxy.md). A peer that sends nonsense is told so and hung up on; one
// that says nothing for half a minute, too. Lives on Env's strand; close() before it is destroyed.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "lib/io/task_group.hpp"
#include "proxy/app.hpp"
#include "proxy/daemon/lines.hpp"

namespace longhaul::proxy {

constexpr std::size_t kCommandsMax = 32;  // at once; more are hung up on

class DaemonDesk {
 public:
  // The lines of an answer, without their ends; an error is told as one.
  using Answer = std::function<io::Task<Result<std::vector<std::string>>>(daemon::Request)>;
  static Result<std::unique_ptr<DaemonDesk>> open(App& app, const std::string& path, Answer answer);
  io::Task<> close();

 private:
  DaemonDesk(App& app, std::unique_ptr<io::Listener> listener, Answer answer);
  io::Task<> accept_all();
  io::Task<> serve(std::list<std::unique_ptr<io::Stream>>::iterator stream);
  io::Task<> converse(io::Stream& stream);

  App& app_;
  std::unique_ptr<io::Listener> listener_;
  const Answer answer_;
  std::list<std::unique_ptr<io::Stream>> streams_;
  io::TaskGroup tasks_;
  bool closing_ = false;
};

}  // namespace longhaul::proxy
