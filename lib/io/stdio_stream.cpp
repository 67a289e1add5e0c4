#include "lib/io/stdio_stream.hpp"

#include <unistd.h>

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
}  // namespace

Result<std::unique_ptr<Stream>> StdioStream::open(Executor executor) {
  Descriptor in(executor), out(executor);
  boost::system::error_code status;
  in.assign(STDIN_FILENO, status);
  if (!status) out.assign(STDOUT_FILENO, status);
  if (status)
    return fail(Error(Kind::kUsage, "carry bytes over stdin and stdout",
                      "one of them is a file: " + status.message())
                    .advise("connect both to pipes, as ssh does"));
  return std::unique_ptr<Stream>(new StdioStream(std::move(in), std::move(out)));
}

StdioStream::StdioStream(Descriptor in, Descriptor out)
    : in_(std::move(in)), out_(std::move(out)), pool_(4 * kReadBytes) {}

Task<Result<Slice>> StdioStream::read_at_most(std::size_t bytes) {
  Buffer buffer = pool_.take(std::min(bytes, kReadBytes));
  const MutableBytes room = buffer.bytes();
  const auto target = asio::buffer(room.data(), std::min(room.size(), bytes));
  const auto [status, count] = co_await in_.async_read_some(target, kAwait);
  if (status == asio::error::eof) co_return Slice();
  if (status) co_return fail(Kind::kLink, "read from stdin", status.message());
  co_return std::move(buffer).freeze(count);
}

Task<Result<>> StdioStream::write(std::vector<Slice> parts) {
  std::vector<asio::const_buffer> source;
  source.reserve(parts.size());
  for (const Slice& part : parts) source.emplace_back(part.data(), part.size());
  const auto [status, count] = co_await asio::async_write(out_, source, kAwait);
  static_cast<void>(count);
  if (status) co_return fail(Kind::kLink, "write to stdout", status.message());
  co_return Result<>();
}

Task<Result<>> StdioStream::wait_writable() {
  const auto [status] = co_await out_.async_wait(Descriptor::wait_write, kAwait);
  if (status) co_return fail(Kind::kLink, "write to stdout", status.message());
  co_return Result<>();
}

void StdioStream::close() {
  boost::system::error_code ignored;
  in_.close(ignored);
  out_.close(ignored);
}

void StdioStream::finish() {
  boost::system::error_code ignored;
  out_.close(ignored);
}

}  // namespace longhaul::io
