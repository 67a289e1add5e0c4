#include "lib/io/address_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});

// Link: carrier lost or back. Neighbours are left out: they come and go by themselves.
constexpr unsigned kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;

class Netlink final : public AddressWatch {
 public:
  Netlink(const Executor& executor, int fd) : socket_(executor, fd) {}

  Task<Result<>> changed() override {
    const auto [status] =
        co_await socket_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (status) co_return fail(Kind::kLink, "watch this host's addresses", status.message());
    // What it says does not matter, only that it said something; a buffer that overran says so too.
    std::array<char, 8192> message;
    while (::recv(socket_.native_handle(), message.data(), message.size(), MSG_DONTWAIT) > 0 ||
           errno == ENOBUFS) {
    }
    co_return Result<>();
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  asio::posix::basic_stream_descriptor<Executor> socket_;
};

}  // namespace

Result<std::unique_ptr<AddressWatch>> AddressWatch::open(const Executor& executor) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return fail_errno("watch this host's addresses", errno);
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = kGroups;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
    const int os = errno;
    ::close(fd);
    return fail_errno("watch this host's addresses", os);
  }
  return std::unique_ptr<AddressWatch>(std::make_unique<Netlink>(executor, fd));
}

}  // namespace longhaul::io
