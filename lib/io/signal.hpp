// Signal: wakes the coroutine that waits for something to change on its own strand. notify() before
// wait() is remembered, several notifies count once, one coroutine waits at a time.
#pragma once

#include <memory>

#include <boost/asio/any_completion_handler.hpp>

#include "lib/io/task.hpp"

namespace longhaul::io {

class Signal {
 public:
  explicit Signal(Executor executor) : executor_(std::move(executor)) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void notify();
  Task<> wait();  // throws boost::system::system_error(operation_aborted) when cancelled

 private:
  using Waiter = boost::asio::any_completion_handler<void(boost::system::error_code)>;
  void resume(boost::system::error_code status);
  Executor executor_;
  std::shared_ptr<Waiter> waiter_;
  bool notified_ = false;
};

}  // namespace longhaul::io
