#include "lib/io/pump.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::io {
namespace {

// What a path takes before the session has tuned it: a handshake and the first frames.
constexpr std::uint32_t kFirstWindow = 64U << 10;
// How long a finished connection may wait for the peer's own end.
constexpr Duration kLinger = 2s;
// Slices handed to the kernel in one call.
constexpr std::size_t kGatherMax = 16;

session::PathInfo path_info(const StreamInfo& info) {
  session::PathInfo out;
  out.rtt = info.rtt;
  out.rtt_min = info.rtt_min;
  out.delivery_rate = info.delivery_rate;
  out.bytes_sent = info.bytes_sent;
  out.bytes_retransmitted = info.bytes_retransmitted;
  out.bytes_delivered = info.bytes_delivered;
  out.cwnd_packets = info.cwnd_packets;
  out.bbr = info.congestion_control == "bbr";
  return out;
}

}  // namespace

struct Pump::Path {
  Path(session::PathId name, std::unique_ptr<Stream> made, const Executor& executor)
      : id(name), stream(std::move(made)), some(executor) {}
  session::PathId id;
  std::unique_ptr<Stream> stream;
  Signal some;  // output, or the wish to finish
  std::deque<Slice> output;
  std::uint32_t window = kFirstWindow;
  std::optional<TaskId> linger;
  bool finish = false;
  bool read_ended = false;
  bool closed = false;  // by the session: it hears nothing of this path any more
};

Pump::Pump(Env& env, session::Session& session, Dialer dialer, OnEvent on_event,
           std::function<void()> on_drained)
    : env_(env),
      session_(session),
      dialer_(std::move(dialer)),
      on_event_(std::move(on_event)),
      on_drained_(std::move(on_drained)),
      group_(env.executor()),
      ended_(env.executor()),
      alarm_(env.alarm()) {}

Pump::~Pump() = default;

void Pump::use(DatagramHub& hub) {
  hub_ = &hub;
  hub.add(*this);
}

Task<> Pump::run() {
  const TaskId clock = group_.spawn(keep_time());
  drain();
  while (!over_) {
    co_await ended_.wait();
  }
  if (hub_ != nullptr) hub_->forget(*this);
  group_.cancel(clock);
  co_await group_.join();
}

void Pump::attach(session::PathId id, std::unique_ptr<Stream> stream) {
  const auto path = std::make_shared<Path>(id, std::move(stream), env_.executor());
  paths_[id] = path;
  group_.spawn(read(path));
  group_.spawn(write(path));
  session_.on_writable(env_.now(), id, path->window);
  drain();
}

void Pump::poke() {
  session_.on_service(env_.now());
  drain();
}

void Pump::addresses_changed() {
  session_.on_addresses_changed(env_.now());
  drain();
}

void Pump::end(Error why) {
  session_.end(env_.now(), std::move(why));
  drain();
}

Task<> Pump::read(PathRef path) {
  for (;;) {
    const Result<Slice> in = co_await path->stream->read();
    if (path->closed) {
      if (in && !in->empty()) continue;  // finishing: what still comes is not for us
      break;
    }
    if (!in) {
      closed(path, in.error());
      break;
    }
    if (in->empty()) {
      const Error end(Kind::kLink, "read from " + to_text(path->stream->peer()),
                      "closed by the peer");
      closed(path, end);
      break;
    }
    session_.on_stream(env_.now(), path->id, *in);
    drain();
  }
  path->read_ended = true;
  if (path->linger) group_.cancel(*path->linger);
}

Task<> Pump::write(PathRef path) {
  for (;;) {
    while (path->output.empty() && !path->finish && !path->closed) {
      co_await path->some.wait();
    }
    if (path->output.empty()) break;
    std::vector<Slice> batch;
    while (!path->output.empty() && batch.size() < kGatherMax) {
      batch.push_back(std::move(path->output.front()));
      path->output.pop_front();
    }
    const Result<> written = co_await path->stream->write(std::move(batch));
    if (!written) {
      closed(path, written.error());
      break;
    }
    if (!path->output.empty() || path->closed) continue;
    const Result<> ready = co_await path->stream->wait_writable();
    if (path->closed) continue;
    if (!ready) {
      closed(path, ready.error());
      break;
    }
    session_.on_writable(env_.now(), path->id, path->window);
    drain();
  }
  if (!path->finish) co_return;
  path->stream->finish();
  // Closing while unread bytes come in would reset the connection and lose our goodbye.
  if (!path->read_ended) path->linger = group_.spawn(linger(path));
}

Task<> Pump::linger(PathRef path) {
  const Time until = env_.now() + kLinger;
  co_await env_.sleep_until(until);
  path->stream->close();
}

void Pump::closed(const PathRef& path, const Error& why) {
  path->stream->close();
  path->some.notify();
  if (std::exchange(path->closed, true)) return;
  paths_.erase(path->id);
  session_.on_stream_closed(env_.now(), path->id, why);
  drain();
}

Task<> Pump::dial(session::Dial how) {
  const session::PathId path = how.path;
  Result<std::unique_ptr<Stream>> dialed = co_await dialer_(how);
  dials_.erase(path);
  if (over_) co_return;
  if (!dialed) {
    session_.on_dialed(env_.now(), path, fail(dialed.error()));
    drain();
    co_return;
  }
  const auto made = std::make_shared<Path>(path, *std::move(dialed), env_.executor());
  paths_[path] = made;
  group_.spawn(read(made));
  group_.spawn(write(made));
  // Its UDP socket is on the port of its TCP one.
  if (const auto peer = to_address(made->stream->peer()); hub_ != nullptr && peer)
    session_.on_datagram_peer(env_.now(), *peer);
  session_.on_dialed(env_.now(), path, {});
  drain();
  session_.on_writable(env_.now(), path, made->window);
  drain();
}

Task<> Pump::work(session::ServiceId service, Job job) {
  Job done = co_await env_.work(std::move(job));
  session_.on_job(env_.now(), service, std::move(done));
  drain();
}

Task<> Pump::keep_time() {
  for (;;) {
    co_await alarm_->ring();
    session_.on_deadline(env_.now());
    drain();
  }
}

void Pump::drain() {
  if (draining_) return;  // an event's hearer used the session: the loop below goes on with it
  draining_ = true;
  for (;;) {
    while (std::optional<session::Output> output = session_.poll_output())
      std::visit([this](auto& wanted) { obey(wanted); }, *output);
    if (samples_.empty()) break;
    const session::PathId sampled = samples_.front();
    samples_.pop_front();
    const auto found = paths_.find(sampled);
    if (found == paths_.end()) continue;
    session_.on_path_info(env_.now(), sampled, path_info(found->second->stream->info()));
  }
  draining_ = false;
  alarm_->set(session_.next_deadline());
  if (on_drained_) on_drained_();
}

void Pump::obey(session::Write& output) {
  const auto found = paths_.find(output.path);
  if (found == paths_.end()) return;
  found->second->output.push_back(std::move(output.bytes));
  found->second->some.notify();
}

void Pump::obey(session::Dial& output) {
  dials_[output.path] = group_.spawn(dial(output));
}

void Pump::obey(session::Close& output) {
  if (const auto dialing = dials_.find(output.path); dialing != dials_.end()) {
    group_.cancel(dialing->second);
    dials_.erase(dialing);
  }
  const auto found = paths_.find(output.path);
  if (found == paths_.end()) return;
  const PathRef path = found->second;
  paths_.erase(found);
  path->closed = true;
  path->finish = output.finish;
  if (!output.finish) path->stream->close();
  path->some.notify();
}

void Pump::obey(session::Tune& output) {
  const auto found = paths_.find(output.path);
  if (found == paths_.end()) return;
  StreamTuning tuning;
  tuning.pacing = output.pacing;
  tuning.unsent_max_bytes = output.unsent_max_bytes;
  tuning.bbr = output.bbr;
  found->second->window = std::max(output.unsent_max_bytes, 1U);
  found->second->stream->tune(tuning);
}

void Pump::obey(session::Sample& output) {
  samples_.push_back(output.path);
}

void Pump::obey(session::HandOut& output) {
  group_.spawn(work(output.service, std::move(output.job)));
}

void Pump::obey(session::SendDatagrams& output) {
  if (hub_ == nullptr) return;
  const auto sent = hub_->send(output.to, output.bytes, output.each_bytes);
  if (sent == DatagramPort::Sent::kTooBig)
    session_.on_datagram_too_big(env_.now(), output.each_bytes);
}

void Pump::obey(session::ClaimDatagrams& output) {
  if (hub_ == nullptr) return;
  if (output.on)
    hub_->claim(output.id, *this);
  else
    hub_->release(output.id);
}

void Pump::on_datagrams(const ReceivedDatagrams& in) {
  const Time now = env_.now();
  session_.on_datagrams(now, in.from, in.bytes, in.each_bytes, std::max(now - in.came, Duration{}),
                        in.dropped_before);
  drain();
}

void Pump::on_datagrams_blocked(bool blocked) {
  session_.on_datagrams_blocked(env_.now(), blocked);
  drain();  // a batch that is being put out right now goes on with the rest
}

void Pump::obey(session::Event& output) {
  if (std::holds_alternative<session::Ended>(output)) {
    over_ = true;
    ended_.notify();
  }
  if (on_event_) on_event_(output);
}

}  // namespace longhaul::io
