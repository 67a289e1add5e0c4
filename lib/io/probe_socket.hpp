// ProbeSocket: gives one end of a probe (probe::Packets) its datagrams from the hub, and sends what
// it wants to send when it wants to. It decides nothing. One strand, Env's.
//
//   ProbeSocket socket(env, hub, prober, [&] { pump.poke(); });
//   tasks.spawn(socket.run());                  // until close()
//   socket.kick();                              // the service behind it was used
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "lib/io/datagram_hub.hpp"
#include "lib/io/env.hpp"
#include "lib/probe/site.hpp"

namespace longhaul::io {

class ProbeSocket final : private DatagramHub::User {
 public:
  // on_step: packets came, so that the service may have messages. All outlive this.
  ProbeSocket(Env& env, DatagramHub& hub, probe::Packets& packets, std::function<void()> on_step);
  ~ProbeSocket();
  ProbeSocket(const ProbeSocket&) = delete;
  ProbeSocket& operator=(const ProbeSocket&) = delete;

  Task<> run();
  void kick();  // look again at what is to be sent and received
  void close();

 private:
  void on_datagrams(const ReceivedDatagrams& in) override;
  void on_datagrams_blocked(bool blocked) override;
  void claim();
  void send_due();

  Env& env_;
  DatagramHub& hub_;
  probe::Packets& packets_;
  std::function<void()> on_step_;
  std::unique_ptr<Alarm> alarm_;
  std::optional<datagram::ConnectionId> claimed_;
  bool blocked_ = false, closed_ = false;
};

}  // namespace longhaul::io
