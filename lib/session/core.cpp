#include "lib/session/core.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::session {

namespace {
constexpr std::size_t kMessagesPerTurn = 64;  // of one service, before the next is asked
constexpr Duration kEstablishMost = 30s;      // the first connection; beyond the life of a dial
}  // namespace

Core::Core(Time now, const SessionKeys& keys, const SessionOptions& options,
           std::span<Service* const> services)
    : options_(options),
      keys_(keys),
      dials_(options.addresses > 0),
      services_(services.begin(), services.end()),
      pool_(*options.buffers),
      messages_(options.window_bytes, services.size(), pool_),
      now_(now),
      next_probe_(now),
      next_extra_(now),
      down_since_(now),
      limit_(options.rate_limit),
      mode_(options.rate_mode),
      budget_since_(now),
      k_(options.bulk_paths_max, options.expects_bulk ? kStartPathsBulk : kStartPaths,
         options.learned.bulk_paths),
      round_since_(now),
      epoch_since_(now),
      lossy_until_(now),
      repeats_(now) {
  ASSERT(!services.empty() && services.size() <= kServicesMax);
}

void Core::start_dialling() {
  ASSERT(dials_ && (keys_.tls != nullptr || options_.paths != nullptr));
  emit(k_.first());
  if (options_.expects_bulk) dial_together();
  settle();
}

void Core::on_job(Time now, ServiceId service, Job done) {
  advance(now);
  ASSERT(service.value() < services_.size());
  services_[service.value()]->on_job(now_, std::move(done));
  if (ended_) return;
  services_due_ = true;
  settle();
}

void Core::on_service(Time now) {
  advance(now);
  services_due_ = true;
  if (!ended_) settle();
}

void Core::set_rate_limit(Time now, BytesPerSecond limit) {
  advance(now);
  limit_ = limit;
  if (datagrams_ != nullptr) datagrams_->channel().rate().set_limit(limit);
  tune();
}

void Core::on_deadline(Time now) {
  advance(now);
  if (ended_) return;
  // First what the time says of the link: a service that waits for the peer must not take the hours
  // in which this process was stopped for the peer's silence.
  if (datagrams_ != nullptr) datagrams_->channel().on_deadline(now_);
  drop_silent();
  update_link();
  if (ended_) return;
  for (Service* service : services_) {
    const auto due = service->next_deadline();
    if (due.has_value() && *due <= now_) {
      service->on_deadline(now_);
      services_due_ = true;
    }
  }
  if (now_ >= round_since_ + round_length()) end_round();
  settle();
}

std::size_t Core::held() const {
  std::size_t bytes = 0;
  for (const Service* service : services_) bytes += service->held();
  return bytes;
}

void Core::deliver() {
  while (auto arrived = messages_.take()) {
    services_due_ = true;
    services_[arrived->service.value()]->on_message(now_, arrived->lane, std::move(arrived->body));
  }
}

// Each service in turn, a few messages at a time, until none has anything or no lane has room.
void Core::ask_services() {
  services_due_ = false;
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < services_.size(); ++i) {
      const std::size_t which = (first_service_ + i) % services_.size();
      for (std::size_t n = 0; n < kMessagesPerTurn; ++n) {
        const Room room = messages_.room();
        auto output = services_[which]->poll_output(now_, room);
        if (!output.has_value()) break;
        any = true;
        const ServiceId id(static_cast<std::uint8_t>(which));
        if (auto* job = std::get_if<Job>(&*output)) {
          outputs_.push(HandOut{id, std::move(*job)});
        } else {
          Message& message = std::get<Message>(*output);
          ASSERT(room.in(message.lane));
          messages_.post(id, std::move(message));
        }
      }
    }
    first_service_ = (first_service_ + 1) % services_.size();
  }
  // A window that opened well beyond what the peer knows is worth a frame of its own.
  const std::uint64_t credit = messages_.credit(held());
  if (credit >= advertised_ + options_.window_bytes / 8) {
    if (Path* path = paths_.carrier(now_, 0); path != nullptr && path->accepted)
      path->ack_at = now_;
    if (datagrams_alive()) {
      datagrams_->say_window();
      advertised_ = credit;
    }
  }
}

void Core::settle() {
  if (ended_) return;
  drop_silent();
  update_link();
  if (ended_) return;
  if (dials_) plan_dials();
  retire_surplus();
  tend_datagrams();
  deliver();
  if (services_due_) ask_services();
}

Duration Core::patience() const {
  return established_ ? options_.outage_max : kEstablishMost + options_.dial_life;
}

void Core::update_link() {
  const bool up =
      std::any_of(paths_.begin(), paths_.end(),
                  [this](const auto& path) { return path->accepted && path->alive(now_); }) ||
      (established_ && datagrams_alive());
  if (up == up_) {
    if (!up && now_ - down_since_ >= patience()) {
      end(now_, Error(Kind::kLink, kReachThePeer, established_ ? "gone for too long" : "no answer"),
          RefuseReason::kNone, false);
    }
    return;
  }
  up_ = up;
  if (up) {
    emit(LinkUp{});
    rate_.on_link_up(now_);
  } else {
    emit(LinkDown{});
    down_since_ = now_;
    next_probe_ = now_;
  }
  for (Service* service : services_) {
    service->on_link(now_, up ? LinkState::kUp : LinkState::kDown);
  }
  services_due_ = true;
}

void Core::end(Time now, const Error& why, RefuseReason refused, bool say_goodbye) {
  advance(now);
  if (ended_) return;
  ended_ = true;
  bool said = false;
  wire::Goodbye goodbye;
  goodbye.kind = static_cast<std::uint8_t>(why.kind());
  goodbye.why = printable(why.message(), 256);
  for (const auto& path : paths_) {
    const bool speaks = say_goodbye && path->open() && path->accepted;
    if (speaks) {
      said = true;
      path->stream->send(wire::FrameType::kGoodbye, goodbye);
      path->stream->send_close();
    }
    flush(*path);
    outputs_.push(Close{path->id, speaks});
  }
  if (say_goodbye && !said) say_goodbye_in_datagrams(goodbye);
  while (!paths_.empty()) paths_.remove((*paths_.begin())->id);
  end_datagrams();
  messages_.clear();
  for (Service* service : services_) service->on_end(now_, why);
  emit(Ended{why, refused});
}

// What is sealed goes out before the path is closed.
void Core::flush(Path& path) {
  if (path.stream == nullptr) return;
  for (Slice bytes = path.stream->take_output(); !bytes.empty();
       bytes = path.stream->take_output()) {
    outputs_.push(Write{path.id, std::move(bytes)});
  }
}

std::optional<Time> Core::next_deadline() const {
  if (ended_) return std::nullopt;
  Time at = Time::max();
  const auto sooner = [&at](Time other) { at = std::min(at, other); };
  for (const Service* service : services_) {
    if (const auto due = service->next_deadline()) sooner(*due);
  }
  for (const auto& path : paths_) {
    if (!path->open()) {
      sooner(path->since + dial_life());
      continue;
    }
    // What a full connection cannot send now waits for room, not for a time that has passed.
    if (path->takes_urgent()) sooner(path->heart.ping_at());
    if (!path->heart.silent(now_)) sooner(path->heart.silent_at());
    if (path->ack_at.has_value() && path->takes_urgent()) sooner(*path->ack_at);
  }
  if (datagrams_ != nullptr) {
    if (const auto due = datagrams_->channel().next_deadline(now_)) sooner(*due);
  }
  if (!paths_.empty() || datagrams_alive()) sooner(round_since_ + round_length());
  if (over_budget() && messages_.has_work(kUrgentLanes | kBulkLanes)) sooner(budget_at());
  const bool any_room = std::any_of(paths_.begin(), paths_.end(), [this](const auto& path) {
    return path->alive(now_) && path->writable > 0;
  });
  if (const auto live = messages_.live_at(now_); live.has_value() && any_room) sooner(*live);
  if (!up_) sooner(down_since_ + patience());
  const Time extra = std::max(std::min(next_extra_, next_control_), now_ + kHeartbeatLeast);
  if (dials_) sooner(up_ ? extra : next_probe_);
  return at;
}

void Core::check() const {
  messages_.check();
  choice_.check();
  k_.check();
  if (datagrams_ != nullptr) datagrams_->channel().check();
  for (const auto& path : paths_) {
    ASSERT(path->state == Path::State::kDialling || path->stream != nullptr);
    ASSERT(!path->accepted || path->open());
    ASSERT(path->in_flight.frames() == 0 || path->open());
  }
  ASSERT(!ended_ || paths_.empty());
}

Status Core::status() const {
  Status status;
  status.established = established_;
  status.up = up_;
  status.ended = ended_;
  status.control_paths = paths_.count(now_, PathRole::kControl).open;
  status.bulk_paths = paths_.count(now_, PathRole::kBulk).open;
  status.bulk_wanted = bulk_wanted();
  for (const auto& path : paths_)
    if (path->open()) status.heard = std::max(status.heard, path->heart.heard());
  status.rtt = rtt();
  status.rtt_min = rate_.rtt_min();
  status.queue = rate_.queue();
  status.delivered = rate_.capacity();
  status.cap = cap();
  status.loss_ppm = rate_.loss_ppm();
  status.queued_bytes = messages_.queued_bytes();
  status.unacked_bytes = messages_.outbox().held_bytes();
  status.requeued_bytes = requeued_bytes_;
  status.acked_bytes = acked_bytes_;
  status.sent = messages_.sent();
  status.received = messages_.received();
  status.received_messages = messages_.inbox().delivered();
  status.duplicate_fragments = messages_.inbox().duplicates();
  status.control_repeats = messages_.control_repeats();
  status.partial_bytes = messages_.inbox().partial_bytes();
  if (datagrams_ != nullptr) {
    const datagram::Channel& channel = datagrams_->channel();
    status.datagrams = choice_.datagrams();
    status.datagram_life = channel.life();
    status.heard = std::max(status.heard, channel.heard_at());
    status.datagram_rate = channel.rate().state();
    status.datagram_rtt = channel.rtt().smoothed();
    status.packet_bytes = channel.packet_bytes();
    status.datagram_counters = channel.counters();
    status.epoch = datagrams_->epoch();
    status.key_updates = channel.protection().updates();
  }
  status.choice = choice_.reason();
  status.waits_for_peer = messages_.waits_for_credit();
  return status;
}

}  // namespace longhaul::session
