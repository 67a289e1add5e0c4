// DatagramHub: gives each session of this process its datagrams from the one UDP socket they share,
// by connection id, and sends theirs. What nobody claimed is dropped without a word and counted.
// Lives on Env's strand; outlives every user of it.
//
//   DatagramHub hub(env, *std::move(port));
//   tasks.spawn(hub.run());            // until close()
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "lib/datagram/protection.hpp"
#include "lib/io/datagram_port.hpp"
#include "lib/io/signal.hpp"

namespace longhaul::io {

class DatagramHub {
 public:
  class User {  // a Pump
   public:
    virtual void on_datagrams(const ReceivedDatagrams& in) = 0;
    virtual void on_datagrams_blocked(bool blocked) = 0;

   protected:
    ~User() = default;
  };

  DatagramHub(Executor executor, std::unique_ptr<DatagramPort> port);
  ~DatagramHub();
  DatagramHub(const DatagramHub&) = delete;
  DatagramHub& operator=(const DatagramHub&) = delete;

  Task<> run();
  void close();

  void claim(const datagram::ConnectionId& id, User& user);
  void release(const datagram::ConnectionId& id);
  void add(User& user);     // hears of blocking from here on
  void forget(User& user);  // and all it claimed
  DatagramPort::Sent send(const datagram::Address& to, const Slice& bytes, std::size_t each_bytes);

  DatagramInfo info() const { return port_->info(); }
  Endpoint local() const { return port_->local(); }
  std::uint64_t strangers() const { return strangers_; }  // batches for nobody here

 private:
  Task<> keep_sending();
  void tell_blocked(bool blocked);

  std::unique_ptr<DatagramPort> port_;
  std::map<datagram::ConnectionId, User*> claims_;
  std::vector<User*> users_;
  Signal blocked_signal_;
  std::uint64_t strangers_ = 0;
  bool blocked_ = false;
  bool closed_ = false;
};

}  // namespace longhaul::io
