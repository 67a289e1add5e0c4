#include "lib/io/datagram_hub.hpp"

#include <algorithm>
#include <utility>

#include "lib/io/task_group.hpp"

namespace longhaul::io {

DatagramHub::DatagramHub(Executor executor, std::unique_ptr<DatagramPort> port)
    : port_(std::move(port)), blocked_signal_(executor), claimed_signal_(std::move(executor)) {}

DatagramHub::~DatagramHub() = default;

Task<> DatagramHub::run() {
  const Executor executor = co_await boost::asio::this_coro::executor;
  TaskGroup tasks(executor);
  tasks.spawn(keep_sending());
  tasks.spawn(deliver_early());
  while (!closed_) {
    const auto got = co_await port_->receive();
    if (!got) break;  // closed; a socket without a peer has no other lasting error
    for (const ReceivedDatagrams& in : *got) {
      if (const auto id = datagram::peek_connection_id(in.bytes.bytes()))
        hand_over(*id, in);
      else
        ++strangers_;
    }
  }
  close();
  co_await tasks.join();
}

void DatagramHub::close() {
  if (std::exchange(closed_, true)) return;
  port_->close();
  blocked_signal_.notify();
  claimed_signal_.notify();
}

void DatagramHub::hand_over(const datagram::ConnectionId& id, const ReceivedDatagrams& in) {
  const auto found = claims_.find(id);
  if (found != claims_.end()) return found->second->on_datagrams(in);
  ++strangers_;
  keep(id, in);
}

void DatagramHub::keep(const datagram::ConnectionId& id, const ReceivedDatagrams& in) {
  if (in.bytes.size() > kEarlyBytesMax) return;
  early_bytes_ += in.bytes.size();
  early_.push_back({id, in});
  early_.back().in.bytes = Slice::copy_of(in.bytes.bytes());  // not what it was read into
  while (early_bytes_ > kEarlyBytesMax || early_.size() > kEarlyMost) {
    early_bytes_ -= early_.front().in.bytes.size();
    early_.pop_front();
  }
}

// Not from within claim(): the session that claims is in the middle of a step.
Task<> DatagramHub::deliver_early() {
  while (!closed_) {
    co_await claimed_signal_.wait();
    std::deque<Early> all;
    all.swap(early_);
    early_bytes_ = 0;
    for (const Early& early : all) {
      if (closed_) break;
      const auto found = claims_.find(early.id);
      if (found != claims_.end())
        found->second->on_datagrams(early.in);
      else
        keep(early.id, early.in);
    }
  }
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
  if (std::any_of(early_.begin(), early_.end(), [&id](const Early& one) { return one.id == id; }))
    claimed_signal_.notify();
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
