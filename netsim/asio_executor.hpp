// Anyone's Asio coroutines in virtual time: an executor and a timer over a Scheduler. Code written
// for any_io_executor runs unmodified; steady_timer and sockets must come from outside, since they
// would pull in a real reactor. Header only, so that netsim itself does not need Boost.
//
//   netsim::VirtualContext context(wan.clock());
//   asio::co_spawn(context.executor(), product_coroutine(env), asio::detached);
//   wan.run();
//   // in env: co_await netsim::sleep_for(context, 30s);
//
// The Scheduler outlives the context, the context its timers. One thread.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "netsim/scheduler.hpp"

namespace netsim {

class VirtualContext;

class VirtualExecutor {
 public:
  explicit VirtualExecutor(VirtualContext& context) : context_(&context) {}
  boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept;
  static constexpr auto query(boost::asio::execution::blocking_t) noexcept {
    return boost::asio::execution::blocking.never;
  }
  template <class F>
  void execute(F function) const;  // now, after what was already scheduled for now
  bool operator==(const VirtualExecutor&) const noexcept = default;

 private:
  VirtualContext* context_;
};

class VirtualContext : public boost::asio::execution_context {
 public:
  explicit VirtualContext(Scheduler& clock) : clock_(clock) {}
  ~VirtualContext() { shutdown(); }
  VirtualExecutor executor() { return VirtualExecutor(*this); }
  VirtualExecutor get_executor() { return executor(); }
  Scheduler& clock() { return clock_; }

 private:
  Scheduler& clock_;
};

inline boost::asio::execution_context& VirtualExecutor::query(
    boost::asio::execution::context_t) const noexcept {
  return *context_;
}
template <class F>
void VirtualExecutor::execute(F function) const {
  Scheduler& clock = context_->clock();
  clock.at(clock.now(), std::move(function));
}

// As asio::steady_timer, in virtual time. Destruction and cancel() end waits with
// operation_aborted; so does the cancellation slot of the one who waits.
class VirtualTimer {
 public:
  using executor_type = VirtualExecutor;
  explicit VirtualTimer(VirtualContext& context) : context_(context) {}
  VirtualTimer(VirtualContext& context, longhaul::Duration delay) : context_(context) {
    expires_after(delay);
  }
  ~VirtualTimer() { cancel(); }
  VirtualTimer(const VirtualTimer&) = delete;
  VirtualTimer& operator=(const VirtualTimer&) = delete;

  executor_type get_executor() { return context_.executor(); }
  longhaul::Time expiry() const { return expiry_; }
  std::size_t expires_at(longhaul::Time when) {
    const std::size_t cancelled = cancel();
    expiry_ = when;
    return cancelled;
  }
  std::size_t expires_after(longhaul::Duration delay) {
    return expires_at(context_.clock().now() + delay);
  }
  std::size_t cancel() {
    const std::size_t count = waits_.size();
    while (!waits_.empty()) end(*waits_.front(), boost::asio::error::operation_aborted);
    return count;
  }
  template <class Token>
  auto async_wait(Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
        [this](auto handler) { this->start(std::move(handler)); }, token);
  }

 private:
  struct Wait {
    virtual ~Wait() = default;
    virtual void finish(boost::system::error_code error) = 0;
    TimerId timer{};
    std::list<std::unique_ptr<Wait>>::iterator place;
  };
  template <class Handler>
  struct WaitOf final : Wait {
    WaitOf(Handler&& h, VirtualExecutor e) : handler(std::move(h)), fallback(e) {}
    void finish(boost::system::error_code error) override {
      boost::asio::get_associated_cancellation_slot(handler).clear();
      const auto executor = boost::asio::get_associated_executor(handler, fallback);
      boost::asio::post(executor,
                        [h = std::move(handler), error]() mutable { std::move(h)(error); });
    }
    Handler handler;
    VirtualExecutor fallback;
  };

  template <class Handler>
  void start(Handler handler) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    waits_.push_back(std::make_unique<WaitOf<Handler>>(std::move(handler), context_.executor()));
    Wait& wait = *waits_.back();
    wait.place = std::prev(waits_.end());
    wait.timer = context_.clock().at(expiry_, [this, &wait] { end(wait, {}); });
    if (slot.is_connected())
      slot.assign([this, &wait](boost::asio::cancellation_type) {
        end(wait, boost::asio::error::operation_aborted);
      });
  }
  void end(Wait& wait, boost::system::error_code error) {
    context_.clock().cancel(wait.timer);
    const std::unique_ptr<Wait> held = std::move(*wait.place);
    waits_.erase(wait.place);
    held->finish(error);
  }

  VirtualContext& context_;
  longhaul::Time expiry_{};
  std::list<std::unique_ptr<Wait>> waits_;
};

inline boost::asio::awaitable<void> sleep_for(VirtualContext& context, longhaul::Duration delay) {
  VirtualTimer timer(context, delay);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace netsim
