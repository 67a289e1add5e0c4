#include "lib/session/session.hpp"

#include "lib/session/core.hpp"

namespace longhaul::session {

Session::Session(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Session::~Session() = default;

std::unique_ptr<Session> Session::dial(Time now, const SessionKeys& keys,
                                       const SessionOptions& options,
                                       std::span<Service* const> services) {
  auto core = std::make_unique<Core>(now, keys, options, services);
  core->start_dialling();
  return std::unique_ptr<Session>(new Session(std::move(core)));
}

std::unique_ptr<Session> Session::accept(Time now, Arrival arrival, const SessionOptions& options,
                                         std::span<Service* const> services, PathId* first) {
  SessionOptions accepting = options;
  accepting.addresses = 0;
  auto core = std::make_unique<Core>(now, SessionKeys{}, accepting, services);
  auto path = core->adopt(now, std::move(arrival));
  if (path.has_value()) *first = *path;
  return std::unique_ptr<Session>(new Session(std::move(core)));
}

Result<PathId> Session::adopt(Time now, Arrival arrival) {
  return core_->adopt(now, std::move(arrival));
}
void Session::on_dialed(Time now, PathId path, Result<> result) {
  core_->on_dialed(now, path, std::move(result));
}
void Session::on_stream(Time now, PathId path, Slice in) {
  core_->on_stream(now, path, in);
}
void Session::on_stream_closed(Time now, PathId path, const Error& why) {
  core_->on_stream_closed(now, path, why);
}
// No path of this build carries datagrams; one that comes late or from a stranger is dropped, which
// is what a datagram may always expect.
void Session::on_datagram_peer(Time, const datagram::Address&) {}
void Session::on_datagrams(Time, const datagram::Address&, const Slice&, std::size_t) {}
void Session::on_datagrams_blocked(Time, bool) {}
void Session::on_datagram_too_big(Time, std::size_t) {}
void Session::on_writable(Time now, PathId path, std::size_t bytes) {
  core_->on_writable(now, path, bytes);
}
void Session::on_path_info(Time now, PathId path, const PathInfo& info) {
  core_->on_path_info(now, path, info);
}
void Session::on_addresses_changed(Time now) {
  core_->on_addresses_changed(now);
}
void Session::on_job(Time now, ServiceId service, Job done) {
  core_->on_job(now, service, std::move(done));
}
void Session::on_deadline(Time now) {
  core_->on_deadline(now);
}
void Session::on_service(Time now) {
  core_->on_service(now);
}
void Session::set_rate_limit(Time now, BytesPerSecond limit) {
  core_->set_rate_limit(now, limit);
}
void Session::end(Time now, Error why) {
  core_->end(now, why, RefuseReason::kNone, true);
}
std::optional<Output> Session::poll_output() {
  return core_->poll_output();
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
  }
  return "unknown";
}

}  // namespace longhaul::session
