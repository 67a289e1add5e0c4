// A Server's connection before its peer is known, and its name in auth::Admission's table.
#pragma once

#include <memory>
#include <string>

#include "streamer/server.hpp"

namespace longhaul::streamer {

struct Server::Guest {
  explicit Guest(const io::Executor& executor) : changed(executor) {}
  auth::ConnectionId id;
  std::unique_ptr<io::Stream> stream;
  Slice first;  // read before it became a guest
  std::unique_ptr<session::Greeter> greeter;
  bool staged = false;
  Time waits_since{};  // for the session it belongs to
  bool evicted = false;
  io::Signal changed;  // one that it may wait for has come or gone
  std::string source() const { return stream->peer().host; }
};

}  // namespace longhaul::streamer
