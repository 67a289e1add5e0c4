#include "lib/io/probe_socket.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::io {
namespace {
// Batches in one turn: then what came in is looked at first, so that its times are right.
constexpr int kBatchesAtOnce = 8;
}  // namespace

ProbeSocket::ProbeSocket(Env& env, DatagramHub& hub, probe::Packets& packets,
                         std::function<void()> on_step)
    : env_(env), hub_(hub), packets_(packets), on_step_(std::move(on_step)), alarm_(env.alarm()) {
  hub_.add(*this);
}

ProbeSocket::~ProbeSocket() {
  hub_.forget(*this);
}

Task<> ProbeSocket::run() {
  while (!closed_) {
    claim();
    send_due();
    co_await alarm_->ring();
  }
}

void ProbeSocket::kick() {
  alarm_->set(env_.now());
}

void ProbeSocket::close() {
  closed_ = true;
  kick();
}

void ProbeSocket::claim() {
  const auto wanted = packets_.receive_id();
  if (wanted == claimed_) return;
  if (claimed_) hub_.release(*claimed_);
  if (wanted) hub_.claim(*wanted, *this);
  claimed_ = wanted;
}

void ProbeSocket::send_due() {
  for (int i = 0; i < kBatchesAtOnce && !blocked_; ++i) {
    const auto batch = packets_.poll_batch(env_.now());
    if (!batch) break;
    // Too large for this machine's own link is as good as lost on the way.
    static_cast<void>(hub_.send(batch->to, batch->bytes, batch->each_bytes));
  }
  if (blocked_) return;  // until the socket takes more
  const Time now = env_.now();
  if (const auto next = packets_.next_send(now)) alarm_->set(std::max(*next, now));
}

void ProbeSocket::on_datagrams(const ReceivedDatagrams& in) {
  const Time now = env_.now();
  packets_.on_datagrams(now, in.from, in.bytes, in.each_bytes, std::max(now - in.came, Duration{}));
  kick();
  on_step_();
}

void ProbeSocket::on_datagrams_blocked(bool blocked) {
  blocked_ = blocked;
  if (!blocked) kick();
}

}  // namespace longhaul::io
