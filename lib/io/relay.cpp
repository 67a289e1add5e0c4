#include "lib/io/relay.hpp"

#include "lib/io/task_group.hpp"

namespace longhaul::io {
namespace {

Task<> copy(Stream& from, Stream& to) {
  for (;;) {
    const Result<Slice> in = co_await from.read();
    if (in && in->empty()) break;
    Result<> written = in ? Result<>() : Result<>(fail(in.error()));
    if (in) {
      std::vector<Slice> parts{*in};
      written = co_await to.write(std::move(parts));
    }
    if (!written) {
      from.close();
      to.close();
      co_return;
    }
  }
  to.finish();
}

}  // namespace

Task<> relay(Env& env, Stream& left, Stream& right) {
  TaskGroup ways(env.executor());
  ways.spawn(copy(left, right));
  ways.spawn(copy(right, left));
  co_await ways.join();
  left.close();
  right.close();
}

}  // namespace longhaul::io
