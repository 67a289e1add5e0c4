// Where ranks meet that are threads of one test: a port of loopback, whose listener is rank 0's.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "trainer/ranks/place.hpp"

namespace longhaul::trainer {

struct Listener {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  std::uint16_t port = 0;
  Listener() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* generic = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(::bind(fd, generic, size), 0);
    EXPECT_EQ(::listen(fd, 16), 0);
    EXPECT_EQ(::getsockname(fd, generic, &size), 0);
    port = ntohs(at.sin_port);
  }
  RankPlace place(std::uint64_t rank, std::uint64_t ranks, const std::string& run = "run") const {
    return {rank, ranks, rank, "127.0.0.1", port, rank == 0 ? fd : -1, run};
  }
};

}  // namespace longhaul::trainer
