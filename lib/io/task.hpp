// Task<T>: a coroutine of the shell. Every Task has an owner that joins it (task_group.hpp);
// co_await stands in a statement of its own, with its arguments named on the lines before (g++ 12
// miscompiles other forms).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace longhaul::io {

template <class T = void>
using Task = boost::asio::awaitable<T, boost::asio::any_io_executor>;
using Executor = boost::asio::any_io_executor;

}  // namespace longhaul::io
