#include "lib/io/within.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace longhaul::io {

Task<Result<>> within(Env& env, Time until, Task<Result<>> task) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto race = std::move(task) || env.sleep_until(until);
  auto ended = co_await std::move(race);
  if (ended.index() == 1) co_return fail(Kind::kTimeout, "wait");
  co_return std::get<0>(std::move(ended));
}

}  // namespace longhaul::io
