// Callers: connections that a site opens to us, because it takes none itself
// (`longhaul-streamer run --dial`). Anyone may connect: who it is shows in TLS, where we are the
// client as ever. Lives on Env's strand; close() before it is destroyed.
#pragma once

#include <deque>
#include <list>
#include <memory>

#include "lib/io/env.hpp"
#include "lib/io/signal.hpp"
#include "lib/io/task_group.hpp"

namespace longhaul::proxy {

constexpr std::size_t kCallersMax = 16;  // that wait unused; the oldest gives way

class Callers {
 public:
  // kBusy: another command listens there.
  static Result<std::unique_ptr<Callers>> listen(io::Env& env, const io::Endpoint& at);
  // The newest that waits (an old one may have been forgotten by a NAT), or the next to come.
  io::Task<Result<std::unique_ptr<io::Stream>>> take();
  io::Endpoint local() const { return listener_->local(); }
  io::Task<> close();

 private:
  Callers(io::Env& env, std::unique_ptr<io::Listener> listener);
  io::Task<> accept_all();
  io::Env& env_;
  std::unique_ptr<io::Listener> listener_;
  std::deque<std::unique_ptr<io::Stream>> waiting_;
  std::list<io::Signal> takers_;
  io::TaskGroup tasks_;
  bool closing_ = false;
};

}  // namespace longhaul::proxy
