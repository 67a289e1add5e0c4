#include "lib/io/datagram_hub.hpp"

#include <algorithm>
#include <utility>

#include "lib/io/task_group.hpp"

namespace longhaul::io {

DatagramHub::DatagramHub(Executor executor, std::unique_ptr<DatagramPort> port)
    : port_(std::move(port)), blocked_signal_(std::move(executor)) {}

DatagramHub::~DatagramHub() = default;

Task<> DatagramHub::run() {
  const Executor executor = co_await boost::asio::this_coro::executor;
  TaskGroup tasks(executor);
  tasks.spawn(keep_sending());
  while (!closed_) {
    const auto got = co_await port_->receive();
    if (!got) break;  // closed; a socket without a peer has no other lasting error
    for (const ReceivedDatagrams& in : *got) {
      const auto id = datagram::peek_connection_id(in.bytes.bytes());
      const auto found = id ? claims_.find(*id) : claims_.end();
      if (found == claims_.end()) {
        ++strangers_;
        continue;
      }
      found->second->on_datagrams(in);
    }
  }
  close();
  co_await tasks.join();
}

void DatagramHub::close() {
  if (std::exchange(closed_, true)) return;
  port_->close();
  blocked_signal_.notify();
}

Task<> DatagramHub::keep_sending() {
  while (!closed_) {
    while (!blocked_ && !closed_) {
      co_await blocked_signal_.wait();
    }
    if (closed_) break;
    const Result<> ready = co_await port_->wait_writable();
    if (!ready) break;
    blocked_ = false;
    tell_blocked(false);
  }
}

void DatagramHub::tell_blocked(bool blocked) {
  const std::vector<User*> users = users_;  // one may leave while it is told
  for (User* user : users) {
    if (std::find(users_.begin(), users_.end(), user) != users_.end())
      user->on_datagrams_blocked(blocked);
  }
}

void DatagramHub::claim(const datagram::ConnectionId& id, User& user) {
  claims_[id] = &user;
}
void DatagramHub::release(const datagram::ConnectionId& id) {
  claims_.erase(id);
}
void DatagramHub::add(User& user) {
  users_.push_back(&user);
}
void DatagramHub::forget(User& user) {
  std::erase(users_, &user);
  std::erase_if(claims_, [&user](const auto& claim) { return claim.second == &user; });
}

DatagramPort::Sent DatagramHub::send(const datagram::Address& to, const Slice& bytes,
                                     std::size_t each_bytes) {
  const DatagramPort::Sent sent = port_->send(to, bytes, each_bytes);
  if (sent == DatagramPort::Sent::kBlocked && !std::exchange(blocked_, true)) {
    blocked_signal_.notify();
    tell_blocked(true);
  }
  return sent;
}

}  // namespace longhaul::io
