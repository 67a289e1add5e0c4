// GatewayServer: serves the datasets of one ROOT to readers over ZeroMQ: a ROUTER socket whose
// peers have shown a pass (CurveZMQ; ipc, too), and the desk behind it. One thread of its own,
// which owns every socket, reads the disk and answers; the caller's thread starts and stops it.
//
// A pass is a file in `folder`, made by make_pass() and known by its reader's key; removing the
// file revokes it, for a reader that is connected within kPassesReadEach.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/gateway/desk.hpp"
#include "lib/gateway/pass.hpp"
#include "lib/gateway/zmq_calls.hpp"

namespace longhaul::gateway {

constexpr Duration kPassesReadEach = 5s;

// Keys of CurveZMQ, as Z85 text.
struct KeyPair {
  std::string open, secret;
};
Result<KeyPair> make_keys(const ZmqCalls& calls);

// The passes that let somebody in, wherever they are kept.
class Passes {
 public:
  virtual ~Passes() = default;
  virtual std::vector<Pass> read() = 0;
};

Time server_clock();  // monotonic

struct ServerOptions {
  std::string at;                            // tcp://ADDRESS:PORT, port 0: any; ipc://PATH
  KeyPair keys;                              // the site's
  std::unique_ptr<Passes> passes;            // read on the server's thread
  Desk::MakeSite make_site;                  // called there, too
  std::function<Time()> now = server_clock;  // called there, too
};

class GatewayServer {
 public:
  // kUsage, kBusy, kPermission: it cannot listen there.
  static Result<std::unique_ptr<GatewayServer>> start(const ZmqCalls& calls, ServerOptions options);
  ~GatewayServer();  // joins its thread: within a second

  const std::string& at() const { return at_; }  // with the port it got

 private:
  class Room;
  explicit GatewayServer(std::unique_ptr<Room> room);
  std::unique_ptr<Room> room_;
  std::string at_;
};

}  // namespace longhaul::gateway
