#include "tests/transfer/session_double.hpp"

#include <algorithm>

namespace longhaul::test {

using session::Lane;

SessionDouble::SessionDouble(std::uint64_t seed, DoubleLink shape)
    : shape_(shape), delay_(seed, "delay"), jobs_(seed, "jobs"), fate_(seed, "fate") {}

void SessionDouble::attach(End end, session::Service& service) {
  Side& mine = side(end);
  mine = Side{};
  mine.service = &service;
  mine.life = ++sequence_;
  service.on_link(now_, up_ ? session::LinkState::kUp : session::LinkState::kDown);
}

void SessionDouble::kill(End end) {
  Side& mine = side(end);
  mine.service = nullptr;
  mine.life = ++sequence_;
  mine.waiting.clear();
  mine.queued = {};
  // Each piece of work had got to its end or not begun: in between is what crash tests of Files are
  // for.
  for (auto& [number, handed] : mine.jobs)
    if (!handed.has_run && fate_.chance(0.5)) handed.job.work->run();
  mine.jobs.clear();
  Side& peer = side(other(end));
  if (peer.service == nullptr) return;
  // What is on the way still arrives before the survivor learns of the end.
  at(now_ + shape_.one_way + shape_.jitter, [this, end, life = peer.life] {
    Side& survivor = side(other(end));
    if (survivor.life == life && survivor.service != nullptr)
      survivor.service->on_end(now_, Error(Kind::kLink, "keep the session"));
  });
}

void SessionDouble::set_link(session::LinkState state) {
  up_ = state == session::LinkState::kUp;
  for (Side& each : sides_) {
    each.link_free = std::max(each.link_free, now_);
    if (each.service != nullptr) each.service->on_link(now_, state);
  }
  pump();
}

void SessionDouble::at(Time when, std::function<void()> act) {
  events_.emplace(Key{when, ++sequence_}, Event{std::move(act)});
}

void SessionDouble::note(std::uint64_t value) {
  trace_ = (trace_ ^ value) * 0x100000001b3ULL;
}

std::uint64_t SessionDouble::sent_bytes(End end, Lane lane) const {
  return sides_[static_cast<std::size_t>(end)].sent[static_cast<std::size_t>(lane)];
}

void SessionDouble::pump() {
  if (pumping_) return;
  pumping_ = true;
  for (const End end : {End::kA, End::kB}) {
    drain(end);
    put_on_link(end);
  }
  pumping_ = false;
}

void SessionDouble::drain(End end) {
  Side& mine = side(end);
  while (mine.service != nullptr) {
    session::Room room;
    for (std::size_t lane = 0; lane < session::kLaneCount; ++lane)
      room.bytes[lane] = shape_.queue_bytes - std::min(shape_.queue_bytes, mine.queued[lane]);
    auto output = mine.service->poll_output(now_, room);
    if (!output) break;
    if (auto* job = std::get_if<Job>(&*output)) {
      start_job(end, std::move(*job));
      continue;
    }
    auto& message = std::get<session::Message>(*output);
    const auto lane = static_cast<std::size_t>(message.lane);
    ASSERT(room.bytes[lane] > 0);  // a service offers nothing for a full lane
    ASSERT(message.body.size() <= session::kMessageMax);
    ASSERT(message.lane != Lane::kControl || message.body.size() <= session::kControlMessageMax);
    if (tap_) {
      auto changed = tap_(end, message.lane, message.body);
      if (!changed) continue;
      message.body = *changed;
    }
    mine.queued[lane] += message.body.size();
    mine.waiting.push_back(std::move(message));
  }
  if (mine.service != nullptr) mine.service->check();
}

void SessionDouble::put_on_link(End end) {
  Side& mine = side(end);
  while (up_ && !mine.waiting.empty() && mine.link_free <= now_) {
    auto next = std::min_element(mine.waiting.begin(), mine.waiting.end(),
                                 [](const auto& a, const auto& b) { return a.lane < b.lane; });
    const Side& peer = side(other(end));
    const std::size_t held = peer.service == nullptr ? 0 : peer.service->held();
    if (next->lane >= Lane::kDemand && mine.on_link + held >= shape_.window_bytes) return;
    session::Message message = std::move(*next);
    mine.waiting.erase(next);
    const std::size_t size = message.body.size();
    mine.queued[static_cast<std::size_t>(message.lane)] -= size;
    mine.sent[static_cast<std::size_t>(message.lane)] += size;
    mine.on_link += size;
    mine.link_free = now_ + shape_.rate.time_for(ByteCount(size + 64));
    note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    note(size * 2 + static_cast<std::uint64_t>(end));
    Time arrival = mine.link_free + shape_.one_way;
    if (message.lane == Lane::kControl) {
      arrival = std::max(arrival, mine.control_last);
      mine.control_last = arrival;
    } else {
      arrival += Duration(static_cast<std::int64_t>(
          delay_.below(static_cast<std::uint64_t>(shape_.jitter.count()) + 1)));
    }
    at(arrival, [this, end, life = side(other(end)).life, sender = mine.life, size,
                 lane = message.lane, body = message.body] {
      if (side(end).life == sender) side(end).on_link -= size;
      Side& to = side(other(end));
      if (to.service != nullptr && to.life == life) to.service->on_message(now_, lane, body);
    });
    at(mine.link_free, [] {});
  }
}

void SessionDouble::inject(End from, Lane lane, Slice body) {
  at(now_, [this, from, lane, body] {
    Side& to = side(other(from));
    if (to.service != nullptr) to.service->on_message(now_, lane, body);
  });
}

void SessionDouble::start_job(End end, Job job) {
  const Duration takes(static_cast<std::int64_t>(
      jobs_.below(static_cast<std::uint64_t>(shape_.job_time_max.count()) + 1)));
  Handed handed{std::move(job), jobs_.chance(0.5)};
  if (handed.has_run) handed.job.work->run();
  const std::uint64_t number = ++sequence_;
  side(end).jobs.emplace(number, std::move(handed));
  at(now_ + takes, [this, end, number] {
    auto done = side(end).jobs.extract(number);
    if (done.empty()) return;  // killed
    if (!done.mapped().has_run) done.mapped().job.work->run();
    side(end).service->on_job(now_, std::move(done.mapped().job));
  });
}

bool SessionDouble::step() {
  pump();
  std::optional<Time> deadline;
  End due = End::kA;
  for (const End end : {End::kA, End::kB}) {
    if (side(end).service == nullptr) continue;
    const auto next = side(end).service->next_deadline();
    if (next && (!deadline || *next < *deadline)) {
      deadline = next;
      due = end;
    }
  }
  ++steps_;
  if (deadline && (events_.empty() || *deadline < events_.begin()->first.first)) {
    now_ = std::max(now_, *deadline);
    side(due).service->on_deadline(now_);
  } else if (!events_.empty()) {
    auto first = events_.extract(events_.begin());
    now_ = std::max(now_, first.key().first);
    first.mapped().act();
  } else {
    return false;
  }
  pump();
  return true;
}

bool SessionDouble::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  pump();
  while (!done()) {
    if (now_ > end || !step()) return done();
  }
  return true;
}

}  // namespace longhaul::test
