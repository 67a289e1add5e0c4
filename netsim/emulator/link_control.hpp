// LinkControl: answers one-line JSON requests (settings.hpp) while packets move. It runs on the
// emulator's thread between two turns; a request takes well under 100 us, but "stats" nearly 1 ms:
// who looks often asks for "counters".
//
//   {"set": {"rtt": "300ms"}}   {"do": "outage 30s", "link": "ocean"}   {"do": "down"}
//   {"do": "move laptop"} (to another address; says which)   {"do": "move laptop away"} (to none)
//   {"get": "stats"}  {"get": "counters"} (its up and down)  {"get": "link"}
//   {"get": "hosts"} (descriptors of the namespaces come along)
//
// `link` names one of several links; with one it may be left out.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>

#include "netsim/emulator/channel.hpp"
#include "netsim/emulator/engine.hpp"
#include "netsim/emulator/host_addresses.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {

class LinkControl {
 public:
  struct Ports {  // what requests act on
    Engine& engine;
    std::function<std::string()> stats;  // JSON
    std::vector<int> hosts;              // their namespaces, then the user namespace if any
    std::vector<HostAddresses>& addresses;
  };
  // listener: for `netsim ctl` and `exec`, or none. owner: whoever started us; if `owned`, we go
  // down with it.
  LinkControl(Ports ports, Fd listener, Channel owner, bool owned);

  std::vector<int> fds() const;  // to poll for reading
  void serve();                  // whatever is readable; never blocks longer than Channel does
  bool is_down() const { return down_; }
  void say_goodbye();  // the last stats to the owner, who may not have asked

 private:
  struct Peer {
    Channel channel;
    bool owner = false;
  };
  void accept_new();
  void answer(Channel& channel, std::string_view line);
  Result<std::string> perform(const ControlRequest& request, const std::string& link);
  Result<std::string> perform_do(const std::string& words, const std::string& link);
  Result<std::string> move_host(std::string_view words);
  Result<Link*> find_link(const std::string& name);

  Ports ports_;
  Fd listener_;
  std::list<Peer> peers_;
  bool owned_;
  bool down_ = false;
};

}  // namespace netsim::emulator
