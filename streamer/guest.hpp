// A Server's connection before its peer is known, and its name in auth::Admission's table.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/io/clocks.hpp"
#include "streamer/server.hpp"

namespace longhaul::streamer {

struct Server::Guest {
  explicit Guest(const io::Executor& executor) : turn(executor), changed(executor) {}
  auth::ConnectionId id;
  std::unique_ptr<io::Stream> stream;
  Slice first;                                // read before it became a guest
  Slice in;                                   // what waits for its turn
  std::optional<Result<>> fed;                // of its turn
  std::unique_ptr<session::Greeter> greeter;  // from its first turn on
  bool staged = false;
  Time waits_since{};  // for the session it belongs to
  bool evicted = false;
  io::Signal turn;     // it had its turn, or gets none any more
  io::Signal changed;  // one that it may wait for has come or gone
  const session::Knock* knock() const { return greeter ? greeter->knock() : nullptr; }
  std::string source() const { return stream->peer().host; }
};

// Until the end of the block, the time of a processor is on a guest's account.
class Server::Charge {
 public:
  Charge(Server& server, auth::ConnectionId id) : server_(server), id_(id) {}
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() { server_.admission_.on_work(server_.env_.now(), id_, io::thread_cpu_time() - began_); }

 private:
  Server& server_;
  const auth::ConnectionId id_;
  const Duration began_ = io::thread_cpu_time();
};

}  // namespace longhaul::streamer
