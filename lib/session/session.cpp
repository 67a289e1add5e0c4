#include "lib/session/session.hpp"

#include "lib/session/core.hpp"
#include "lib/session/trace.hpp"

namespace longhaul::session {

namespace {
trace::Record called(Time now, trace::Call what) {
  return trace::Called{to_trace(now), what};
}
}  // namespace

Session::Session(std::unique_ptr<Recording> recording, std::unique_ptr<Core> core)
    : recording_(std::move(recording)), core_(std::move(core)) {}
Session::~Session() = default;

std::unique_ptr<Session> Session::dial(Time now, const SessionKeys& keys,
                                       const SessionOptions& options,
                                       std::span<Service* const> services) {
  std::unique_ptr<Recording> recording;
  std::vector<Service*> used(services.begin(), services.end());
  SessionOptions how = options;
  if (options.trace != nullptr) {
    recording = std::make_unique<Recording>(now, keys, options, services, true);
    used = recording->services();
    how.paths = recording->paths();
    how.datagrams = false;
    how.required = 0;
  }
  auto core = std::make_unique<Core>(now, keys, how, used);
  core->start_dialling();
  return std::unique_ptr<Session>(new Session(std::move(recording), std::move(core)));
}

std::unique_ptr<Session> Session::accept(Time now, Arrival& arrival, const SessionOptions& options,
                                         std::span<Service* const> services, PathId* first) {
  std::unique_ptr<Recording> recording;
  std::vector<Service*> used(services.begin(), services.end());
  SessionOptions accepting = options;
  accepting.addresses = 0;
  if (options.trace != nullptr) {
    recording = std::make_unique<Recording>(now, SessionKeys{}, options, services, false);
    used = recording->services();
    accepting.datagrams = false;
    recording->told_of(now, arrival, nullptr);
  }
  auto core = std::make_unique<Core>(now, SessionKeys{}, accepting, used);
  auto path = core->adopt(now, arrival);
  if (path.has_value()) *first = *path;
  return std::unique_ptr<Session>(new Session(std::move(recording), std::move(core)));
}

Result<PathId> Session::adopt(Time now, Arrival& arrival) {
  if (recording_) recording_->told_of(now, arrival, core_->association());
  return core_->adopt(now, arrival);
}
void Session::on_dialed(Time now, PathId path, Result<> result) {
  if (recording_) {
    trace::Dialed dialed{to_trace(now), path.value(), {}};
    if (!result.has_value()) dialed.failed = to_trace(result.error());
    recording_->told(dialed);
  }
  core_->on_dialed(now, path, std::move(result));
}
void Session::on_stream(Time now, PathId path, Slice in) {
  if (recording_)
    recording_->told(
        trace::Heard{to_trace(now), path.value(), static_cast<std::uint32_t>(in.size())});
  core_->on_stream(now, path, in);
}
void Session::on_stream_closed(Time now, PathId path, const Error& why) {
  if (recording_) recording_->told(trace::Closed{to_trace(now), path.value(), to_trace(why)});
  core_->on_stream_closed(now, path, why);
}
void Session::on_datagram_peer(Time now, const datagram::Address& peer) {
  core_->on_datagram_peer(now, peer);
}
void Session::on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                           std::size_t each_bytes, Duration ago, std::uint64_t socket_drops) {
  core_->on_datagrams(now, from, in, each_bytes, ago, socket_drops);
}
void Session::on_datagrams_blocked(Time now, bool blocked) {
  core_->on_datagrams_blocked(now, blocked);
}
void Session::on_datagram_too_big(Time now, std::size_t bytes) {
  core_->on_datagram_too_big(now, bytes);
}
void Session::on_writable(Time now, PathId path, std::size_t bytes) {
  if (recording_) recording_->told(trace::Writable{to_trace(now), path.value(), bytes});
  core_->on_writable(now, path, bytes);
}
void Session::on_path_info(Time now, PathId path, const PathInfo& info) {
  if (recording_)
    recording_->told(trace::Informed{to_trace(now), path.value(), info.rtt.count(),
                                     info.rtt_min.count(), info.delivery_rate.value(),
                                     info.bytes_sent, info.bytes_retransmitted,
                                     info.bytes_delivered, info.cwnd_packets, info.bbr});
  core_->on_path_info(now, path, info);
}
void Session::on_addresses_changed(Time now) {
  if (recording_) recording_->told(called(now, trace::Call::kAddresses));
  core_->on_addresses_changed(now);
}
void Session::on_job(Time now, ServiceId service, Job done) {
  if (recording_) recording_->told(trace::JobDone{to_trace(now), service.value(), done.id.value()});
  core_->on_job(now, service, std::move(done));
}
void Session::on_deadline(Time now) {
  if (recording_) recording_->told(called(now, trace::Call::kDeadline));
  core_->on_deadline(now);
}
void Session::on_service(Time now) {
  if (recording_) recording_->told(called(now, trace::Call::kService));
  core_->on_service(now);
}
void Session::set_rate_limit(Time now, BytesPerSecond limit) {
  if (recording_) recording_->told(trace::Limited{to_trace(now), limit.value()});
  core_->set_rate_limit(now, limit);
}
void Session::end(Time now, Error why) {
  if (recording_) recording_->told(trace::Stopped{to_trace(now), to_trace(why)});
  core_->end(now, why, RefuseReason::kNone, true);
}
std::optional<Output> Session::poll_output() {
  auto output = core_->poll_output();
  if (recording_) recording_->did(output);
  return output;
}
std::optional<Time> Session::next_deadline() const {
  return core_->next_deadline();
}
void Session::check() const {
  core_->check();
}
Status Session::status() const {
  return core_->status();
}
LinkMemory Session::learned() const {
  return core_->learned();
}
const Association* Session::association() const {
  return core_->association();
}

std::string_view name_of(PathRole role) {
  return role == PathRole::kControl ? "control" : "bulk";
}

std::string_view name_of(RefuseReason reason) {
  switch (reason) {
    case RefuseReason::kNone:
      return "none";
    case RefuseReason::kVersion:
      return "version";
    case RefuseReason::kForbidden:
      return "forbidden";
    case RefuseReason::kNoSession:
      return "no-session";
    case RefuseReason::kBusy:
      return "busy";
    case RefuseReason::kMalformed:
      return "malformed";
  }
  return "unknown";
}

std::string_view name_of(KReason reason) {
  switch (reason) {
    case KReason::kStart:
      return "start";
    case KReason::kSumRose:
      return "the sum rose";
    case KReason::kLossLimited:
      return "loss slows each of them";
    case KReason::kSumFlat:
      return "more did not help";
    case KReason::kLinkFull:
      return "the link is full";
    case KReason::kRateFell:
      return "the rate fell";
    case KReason::kMost:
      return "as many as allowed";
    case KReason::kRemembered:
      return "served last time";
    case KReason::kRefusedByPeer:
      return "the peer takes no more";
    case KReason::kThin:
      return "too little for each of them";
    case KReason::kFewStay:
      return "they do not stay open";
  }
  return "unknown";
}

}  // namespace longhaul::session
