#include "proxy/callers.hpp"

namespace longhaul::proxy {
namespace {
constexpr Duration kAcceptPause = 100ms;  // after a refused accept
}

Result<std::unique_ptr<Callers>> Callers::listen(io::Env& env, const io::Endpoint& at) {
  auto listener = env.listen(at);
  if (!listener && listener.error().kind() == Kind::kBusy) {
    return fail(Error(Kind::kBusy, "wait for the site's call on " + to_text(at),
                      "another program has that port, perhaps another longhaul")
                    .advise("wait until it has ended; one command at a time can be called"));
  }
  if (!listener) return fail(listener.error());
  std::unique_ptr<Callers> callers(new Callers(env, *std::move(listener)));
  callers->tasks_.spawn(callers->accept_all());
  return callers;
}

Callers::Callers(io::Env& env, std::unique_ptr<io::Listener> listener)
    : env_(env), listener_(std::move(listener)), tasks_(env.executor()) {}

io::Task<> Callers::accept_all() {
  while (!closing_) {
    Result<std::unique_ptr<io::Stream>> accepted = co_await listener_->accept();
    if (closing_) break;
    if (!accepted) {
      const Time later = env_.now() + kAcceptPause;
      co_await env_.sleep_until(later);
      continue;
    }
    waiting_.push_back(*std::move(accepted));
    if (waiting_.size() > kCallersMax) waiting_.pop_front();
    if (!takers_.empty()) takers_.front().notify();
  }
}

io::Task<Result<std::unique_ptr<io::Stream>>> Callers::take() {
  while (waiting_.empty()) {
    if (closing_) co_return fail(Kind::kInterrupted, "wait for the site's call");
    const auto own = takers_.emplace(takers_.end(), env_.executor());
    // Out of the list also when this wait is cancelled.
    const std::shared_ptr<void> leave(nullptr, [this, own](void*) { takers_.erase(own); });
    co_await own->wait();
  }
  std::unique_ptr<io::Stream> newest = std::move(waiting_.back());
  waiting_.pop_back();
  if (!waiting_.empty() && !takers_.empty()) takers_.front().notify();
  co_return newest;
}

io::Task<> Callers::close() {
  closing_ = true;
  listener_->close();
  tasks_.cancel();
  co_await tasks_.join();
  waiting_.clear();
  for (io::Signal& taker : takers_) taker.notify();
}

}  // namespace longhaul::proxy
