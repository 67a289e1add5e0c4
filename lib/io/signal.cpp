#include "lib/io/signal.hpp"

#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/base/assert.hpp"

namespace longhaul::io {
namespace asio = boost::asio;

void Signal::resume(boost::system::error_code status) {
  // Shared, not moved into the lambda: Boost 1.81 recurses without end where it copies such a
  // handler.
  const std::shared_ptr<Waiter> waiter = std::exchange(waiter_, nullptr);
  if (!waiter) return;
  auto call = [waiter, status] { std::move (*waiter)(status); };
  asio::post(executor_, std::move(call));
}

void Signal::notify() {
  if (waiter_) {
    resume({});
  } else {
    notified_ = true;
  }
}

Task<> Signal::wait() {
  if (std::exchange(notified_, false)) co_return;
  ASSERT(!waiter_);
  auto start = [this](auto handler) {
    asio::cancellation_slot slot = asio::get_associated_cancellation_slot(handler);
    waiter_ = std::make_shared<Waiter>(std::move(handler));
    if (slot.is_connected()) {
      slot.assign([this](asio::cancellation_type) { resume(asio::error::operation_aborted); });
    }
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>,
                                void(boost::system::error_code)>(start, asio::use_awaitable);
}

}  // namespace longhaul::io
