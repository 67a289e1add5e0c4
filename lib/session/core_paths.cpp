// The life of paths: dialled or adopted, greeted, open, silent, lost, retired.
#include <algorithm>

#include "lib/session/core.hpp"

namespace longhaul::session {

namespace {
constexpr Duration kDialLifeLeast = 2s;
constexpr Duration kDialLifeMost = 5s;
constexpr Duration kProbePauseLeast = 250ms;  // when addresses change
constexpr Duration kExtraPauseMost = 30s;
constexpr std::uint32_t kProbesAtOnce = 4;
// A peer takes at most 16 handshakes at a time from one source that it does not know
// (auth::AdmissionLimits); those turned away, for a neighbour behind the same address, come again.
constexpr std::uint32_t kDialsAtOnce = 16;
}  // namespace

Duration Core::dial_life() const {
  if (options_.dial_life != Duration{}) return options_.dial_life;
  if (rtt() == Duration{}) return kDialLifeMost;
  return std::clamp<Duration>(4 * rtt(), kDialLifeLeast, kDialLifeMost);
}

Path& Core::dial(PathRole role) {
  Path& path = paths_.add(role, now_);
  outputs_.push(Dial{path.id, next_address_, role, segments_.small(now_)});
  return path;
}

// The first connection with all that are wanted beside it. While they fail, only single probes
// follow (plan_dials).
void Core::dial_together() {
  dial(PathRole::kControl);
  next_probe_ = now_ + options_.probe_pause;
  plan_extra(PathRole::kControl, control_wanted_);
  plan_extra(PathRole::kBulk, bulk_wanted());
}

void Core::on_dialed(Time now, PathId id, Result<> result) {
  advance(now);
  Path* path = paths_.find(id);
  if (ended_ || path == nullptr || path->state != Path::State::kDialling) return;
  if (!result.has_value()) {
    next_address_ = (next_address_ + 1) % options_.addresses;
    lose(id, result.error());
  } else {
    path->state = Path::State::kShaking;
    path->since = now_;
    path->stream =
        options_.paths != nullptr ? options_.paths->dialled(id) : dial_over_tls(keys_, pool_, id);
  }
  settle();
}

Result<PathId> Core::adopt(Time now, Arrival& arrival) {
  advance(now);
  const char* what = "take a connection";
  if (ended_) return fail(Kind::kLink, what, "the session is over");
  if (paths_.full()) return fail(Kind::kLimit, what, "the session has too many");
  if (association_.has_value()) {
    if (arrival.stream->peer() != association_->peer) {
      return fail(Kind::kAuth, what, "its key is not the session's");
    }
    if (!proven(*association_, *arrival.stream, arrival.hello.proof)) {
      return fail(Kind::kAuth, what, "its proof is wrong");
    }
  }
  TRY(messages_.control().on_acked(arrival.hello.control_next));
  if (!association_.has_value()) association_ = associate(*arrival.stream);
  Path& path = paths_.add(arrival.hello.role == 0 ? PathRole::kControl : PathRole::kBulk, now_);
  path.stream = std::move(arrival.stream);
  path.handshake_rtt = arrival.handshake_rtt;
  open(path);
  path.accepted = true;
  messages_.on_credit(arrival.hello.credit);
  wire::Accept accept;
  version_ = std::min(arrival.hello.version_most, wire::kVersionMost);
  capabilities_ = arrival.hello.capabilities & kCapabilities;
  if (!options_.datagrams) capabilities_ &= ~kCapabilitiesOfUdp;
  accept.version = version_;
  accept.capabilities = capabilities_;
  accept.control_next = messages_.control_next();
  advertised_ = messages_.credit(held());
  accept.credit = advertised_;
  path.stream->send(wire::FrameType::kAccept, accept);
  if (!established_ || !up_) emit(Established{established_, version_, capabilities_});
  established_ = true;
  emit(PathUp{path.id, path.role});
  const PathId id = path.id;
  if (arrival.hello.intent == wire::Intent::kBegin) {
    capabilities_seen_ = capabilities_;
    if ((capabilities_ & kCapabilityDatagrams) != 0) begin_datagrams(path, 0);
  }
  if (auto read = on_frames(id); !read.has_value()) {  // what came behind the Hello
    end(now_, read.error(), RefuseReason::kNone, true);
  }
  settle();
  return id;
}

void Core::open(Path& path) {
  path.state = Path::State::kOpen;
  path.since = now_;
  path.heart = Heartbeat(now_, path.handshake_rtt);
  tune();  // before its first data: a congestion control is best chosen then
}

// Dialled connections whose TLS is done say Hello: the first one begins the association, the others
// show that they belong to it, without waiting for the peer's answer to the first. One that
// overtakes it finds a peer that waits a moment (streamer/server.hpp).
void Core::greet_ready() {
  for (const auto& path : paths_) {
    if (path->state == Path::State::kShaking && path->stream->secured()) greet(*path);
  }
}

void Core::greet(Path& path) {
  wire::Hello hello;
  hello.capabilities = kCapabilitiesOfServices;
  hello.required = options_.required;
  if (options_.datagrams) hello.capabilities |= kCapabilityDatagrams | kCapabilityProbe;
  if (options_.datagrams && !crypto::has_fast_aes()) hello.capabilities |= kCapabilityChaCha;
  hello.role = path.role == PathRole::kControl ? 0 : 1;
  hello.control_next = messages_.control_next();
  advertised_ = messages_.credit(held());
  hello.credit = advertised_;
  if (association_.has_value()) {
    path.early = !established_;
    hello.intent = wire::Intent::kJoin;
    hello.session = association_->token;
    hello.proof = prove(*association_, *path.stream);
  } else {
    association_ = associate(*path.stream);
  }
  open(path);
  path.stream->send(wire::FrameType::kHello, hello);
  if (hello.intent == wire::Intent::kBegin) {
    capabilities_seen_ = hello.capabilities;
    begin_datagrams(path, 0);
  }
}

void Core::on_stream(Time now, PathId id, const Slice& in) {
  advance(now);
  Path* path = paths_.find(id);
  if (ended_ || path == nullptr || path->stream == nullptr) return;
  path->heart.on_heard(now_);
  if (auto fed = path->stream->feed(in); !fed.has_value()) {
    const Error why = fed.error();
    lose(id, why);
    // Before anything was agreed another key is not our peer; later it may be a hotel's portal.
    const bool is_verdict = !options_.strangers_answer && why.kind() == Kind::kAuth;
    if (dials_ && !established_ && is_verdict) {
      end(now_, why, RefuseReason::kForbidden, false);
    }
    return settle();
  }
  if (path->state == Path::State::kShaking && path->stream->secured()) {
    if (path->handshake_rtt == Duration{}) path->handshake_rtt = now_ - path->since;
    greet_ready();
  }
  if (auto read = on_frames(id); !read.has_value()) {
    end(now_, read.error(), RefuseReason::kNone, true);
  }
  settle();
}

void Core::on_stream_closed(Time now, PathId id, const Error& why) {
  advance(now);
  if (ended_ || paths_.find(id) == nullptr) return;
  lose(id, why);
  settle();
}

void Core::lose(PathId id, const Error& why) {
  Path* path = paths_.find(id);
  ASSERT(path != nullptr);
  const std::uint64_t bytes = path->in_flight.bytes();
  requeued_bytes_ += bytes;
  path->in_flight.give_up([this](const Fragment& fragment) { messages_.on_lost(fragment); });
  flush(*path);  // an alert says why
  outputs_.push(Close{id, false});
  emit(PathLost{id, why, bytes});
  // Once per burst. A host that has lost its address refuses a dial at once.
  if (!path->accepted && path->role == PathRole::kBulk && now_ >= next_extra_) {
    next_extra_ = now_ + extra_pause_;
    extra_pause_ = std::min<Duration>(extra_pause_ * 2, kExtraPauseMost);
  } else if (!path->accepted && path->role == PathRole::kControl && up_ && now_ >= next_control_) {
    next_control_ = now_ + control_pause_;
    control_pause_ = std::min<Duration>(control_pause_ * 2, kExtraPauseMost);
  }
  paths_.remove(id);
}

// A silent path is dead once another was heard of since, or has just come up; while all are silent
// none is given up: the link may return to them.
void Core::drop_silent() {
  std::vector<PathId> dead;
  const bool any_alive = std::any_of(paths_.begin(), paths_.end(), [this](const auto& path) {
    return path->accepted && path->alive(now_);
  });
  for (const auto& path : paths_) {
    if (path->stream != nullptr && path->stream->error().has_value()) {
      dead.push_back(path->id);
    } else if (path->open() ? any_alive && path->heart.silent(now_)
                            : now_ - path->since >= dial_life()) {
      dead.push_back(path->id);
    }
  }
  for (PathId id : dead) {
    const Path& path = *paths_.find(id);
    const bool was_open = path.open();
    if (path.stream != nullptr && !path.stream->error().has_value())
      segments_.on_silent(now_, path.info ? path.info->bytes_delivered : 0);
    lose(id, Error(Kind::kTimeout, "hear from the peer",
                   was_open ? "the path has fallen silent" : "no answer to the dial"));
    if (!was_open && options_.addresses > 0) {
      next_address_ = (next_address_ + 1) % options_.addresses;
    }
  }
}

void Core::retire_surplus() {
  std::uint32_t kept = 0;
  std::vector<PathId> done;
  for (const auto& path : paths_) {
    if (path->role != PathRole::kBulk || !path->accepted) continue;
    if (dials_ && ++kept > bulk_wanted()) path->retiring = true;
    if (path->retiring && path->in_flight.frames() == 0) done.push_back(path->id);
  }
  for (PathId id : done) {
    outputs_.push(Close{id, true});
    paths_.remove(id);
  }
}

void Core::on_addresses_changed(Time now) {
  advance(now);
  if (ended_) return;
  if (datagrams_ != nullptr) datagrams_->channel().on_addresses_changed(now_);
  if (!dials_) return settle();
  segments_.on_addresses_changed();
  // Every path may be dead by now and not know it: a fresh one shows whether the peer is reachable.
  if (now_ >= next_probe_ - options_.probe_pause + kProbePauseLeast && !paths_.full()) {
    dial(PathRole::kControl);
    next_probe_ = now_ + options_.probe_pause;
  } else {  // an address and its route are told one after the other
    next_probe_ = std::min(next_probe_, now_ + kProbePauseLeast);
  }
  next_control_ = std::min(next_control_, now_ + kProbePauseLeast);
  settle();
}

void Core::plan_dials() {
  if (!up_) {
    if (now_ < next_probe_) return;
    if (paths_.full() || paths_.count(now_, PathRole::kControl).pending >= kProbesAtOnce) {
      next_probe_ = now_ + kProbePauseLeast;  // some of them will have failed by then
      return;
    }
    // The first dial may take its time; a link that was there is tried afresh each second.
    dial(PathRole::kControl);
    next_probe_ = now_ + options_.probe_pause;
    return;
  }
  // Datagrams carry control messages when they are answered, and double them in their own way.
  if (now_ < lossy_until_ && !choice_.datagrams() && options_.bulk_paths_max > kControlPathsLossy)
    control_wanted_ = kControlPathsLossy;
  if (now_ >= next_control_) plan_extra(PathRole::kControl, control_wanted_);
  if (now_ >= next_extra_) plan_extra(PathRole::kBulk, bulk_wanted());
}

// More for control are fewer for bulk: all together keep within what was allowed.
std::uint32_t Core::bulk_wanted() const {
  return std::min(k_.wanted(), options_.bulk_paths_max + kControlPaths - control_wanted_);
}

void Core::plan_extra(PathRole role, std::uint32_t wanted) {
  const std::uint32_t pending =
      paths_.count(now_, PathRole::kControl).pending + paths_.count(now_, PathRole::kBulk).pending;
  const PathSet::Count have = paths_.count(now_, role);
  std::uint32_t missing = wanted - std::min(wanted, have.open + have.pending);
  missing = std::min(missing, kDialsAtOnce - std::min(kDialsAtOnce, pending));
  for (std::uint32_t i = 0; i < missing && !paths_.full(); ++i) dial(role);
}

}  // namespace longhaul::session
