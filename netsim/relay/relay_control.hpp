// RelayControl: requests of netsim/settings.hpp over a unix socket (mode 0600) or a loopback TCP
// port, one JSON object a line, an answer line for each. It answers between two turns of the
// relay's loop. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "netsim/relay/poller.hpp"
#include "netsim/relay/socket.hpp"
#include "netsim/settings.hpp"

namespace netsim::relay {

class RelayControl {
 public:
  using Perform = std::function<Result<std::string>(const ControlRequest&)>;  // JSON back
  RelayControl(Poller& poller, Perform perform);
  ~RelayControl();
  RelayControl(const RelayControl&) = delete;
  RelayControl& operator=(const RelayControl&) = delete;

  Result<> listen(const Address& address);  // kUsage unless it is loopback or unix
  void on_event(std::uint64_t key);         // key 0: the listener

 private:
  struct Peer {
    Fd fd;
    std::string line;
  };
  void accept_peer();
  void answer(const Fd& fd, std::string_view line);

  Poller& poller_;
  Perform perform_;
  Fd listener_;
  std::string unix_path_;
  std::map<std::uint64_t, Peer> peers_;
  std::uint64_t next_key_ = 1;
};

}  // namespace netsim::relay
