// DatagramHub: gives each session of this process its datagrams from the one UDP socket they share,
// by connection id, and sends theirs. What nobody claimed is dropped without a word and counted; a
// little of it waits, as the first datagrams of a session overtake the Hello that makes it one
// here. Lives on Env's strand; outlives every user of it.
//
//   DatagramHub hub(env, *std::move(port));
//   tasks.spawn(hub.run());            // until close()
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "lib/datagram/protection.hpp"
#include "lib/io/datagram_port.hpp"
#include "lib/io/signal.hpp"

namespace longhaul::io {

class DatagramHub {
 public:
  // Of what waits to be claimed, the newest.
  static constexpr std::size_t kEarlyBytesMax = 128 << 10, kEarlyMost = 128;

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
  // Batches for nobody here when they came.
  std::uint64_t strangers() const { return strangers_; }

 private:
  struct Early {
    datagram::ConnectionId id;
    ReceivedDatagrams in;
  };
  void keep(const datagram::ConnectionId& id, const ReceivedDatagrams& in);
  void hand_over(const datagram::ConnectionId& id, const ReceivedDatagrams& in);
  Task<> deliver_early();
  Task<> keep_sending();
  void tell_blocked(bool blocked);

  std::unique_ptr<DatagramPort> port_;
  std::map<datagram::ConnectionId, User*> claims_;
  std::vector<User*> users_;
  std::deque<Early> early_;
  std::size_t early_bytes_ = 0;
  Signal blocked_signal_, claimed_signal_;
  std::uint64_t strangers_ = 0;
  bool blocked_ = false;
  bool closed_ = false;
};

}  // namespace longhaul::io
