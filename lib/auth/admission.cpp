#include "lib/auth/admission.hpp"

#include <algorithm>
#include <tuple>

namespace longhaul::auth {
namespace {

// A source's use counts half after so long, and not at all once it is less than any handshake.
constexpr Duration kHalfLife = 10s;
constexpr Duration kForgotten = 20us;

}  // namespace

std::string source_of(const std::string& address) {
  constexpr std::size_t kGroups = 8, kNetworkGroups = 4;
  if (address.find(':') == std::string::npos || address.find('.') != std::string::npos)
    return address;  // IPv4, also where it stands inside an IPv6 address
  std::vector<std::string> groups;
  std::optional<std::size_t> gap;  // where "::" stands for groups of zeros
  for (std::size_t at = 0; at <= address.size();) {
    const std::size_t end = std::min(address.find(':', at), address.size());
    if (end == at && !gap) gap = groups.size();
    if (end > at) groups.push_back(address.substr(at, end - at));
    at = end + 1;
  }
  if (gap && groups.size() < kGroups)
    groups.insert(groups.begin() + static_cast<std::ptrdiff_t>(*gap), kGroups - groups.size(), "0");
  std::string network;
  for (std::size_t i = 0; i < std::min(kNetworkGroups, groups.size()); ++i)
    network += groups[i] + ":";
  return network;
}

void Admission::drop(std::map<ConnectionId, Stranger>::iterator at) {
  const auto source = at->second.source;
  ASSERT(source->second.connections > 0);
  if (--source->second.connections == 0 && source->second.cpu < kForgotten) sources_.erase(source);
  bytes_ -= at->second.bytes;
  leave_line(at->first, at->second);
  by_id_.erase(at);
  while (sources_.size() > by_id_.size() + limits_.sources_charged_max) forget_by_half();
}

std::vector<ConnectionId> Admission::on_accept(Time now, ConnectionId id,
                                               const std::string& address) {
  ASSERT(!by_id_.contains(id));
  const auto [source, is_new] = sources_.try_emplace(source_of(address));
  if (is_new) {
    const auto known = known_.find(source->first);
    if (known != known_.end()) source->second.exempt_until = known->second;
  }
  const bool exempt = source->second.exempt_until > now;
  if (!exempt && source->second.connections >= limits_.per_source_max) return {id};
  ++source->second.connections;
  std::vector<ConnectionId> close;
  if (by_id_.size() >= limits_.connections_max) close.push_back(*evict());
  by_id_.emplace(id, Stranger{source, now + limits_.deadline, now, 0, {}, {}});
  return close;
}

std::optional<ConnectionId> Admission::evict() {
  const auto slowest = std::min_element(
      by_id_.begin(), by_id_.end(),
      [](const auto& a, const auto& b) { return a.second.stage_since < b.second.stage_since; });
  if (slowest == by_id_.end()) return std::nullopt;
  const ConnectionId id = slowest->first;
  drop(slowest);
  return id;
}

Admission::Verdict Admission::on_bytes(ConnectionId id, std::size_t bytes) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Verdict::kGoOn;  // known by now: the session's own limits hold
  if (bytes > limits_.connection_bytes_max - found->second.bytes) return Verdict::kClose;
  found->second.bytes += bytes;
  bytes_ += bytes;
  return Verdict::kGoOn;
}

void Admission::on_stage(Time now, ConnectionId id) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) found->second.stage_since = now;
}

void Admission::on_known(Time now, ConnectionId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  std::erase_if(known_, [&](const auto& entry) { return entry.second <= now; });
  auto& [name, source] = *found->second.source;
  if (known_.size() < limits_.sources_known_max || known_.contains(name)) {
    known_[name] = source.exempt_until = now + limits_.known_for;
    for (auto& [other, stranger] : by_id_) {
      if (stranger.source != found->second.source || !stranger.place) continue;
      leave_line(other, stranger);
      may_work_.insert(other);
    }
  }
  drop(found);
}

void Admission::on_waiting(Time now, ConnectionId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second.place) return;
  if (found->second.source->second.exempt_until > now) {
    may_work_.insert(id);
  } else {
    found->second.place = next_place_++;
    ++waiting_;
  }
}

void Admission::leave_line(ConnectionId id, Stranger& stranger) {
  may_work_.erase(id);
  if (!stranger.place) return;
  stranger.place.reset();
  --waiting_;
}

std::optional<ConnectionId> Admission::poll_turn(Time now) {
  refill(now);
  auto best = by_id_.end();
  if (!may_work_.empty()) {
    best = by_id_.find(*may_work_.begin());
  } else if (waiting_ > 0 && cpu_left_ > Duration(0)) {
    const auto key = [](const Stranger& stranger) {
      return std::tuple(stranger.others_cpu(), stranger.cpu == Duration(0), *stranger.place);
    };
    for (auto at = by_id_.begin(); at != by_id_.end(); ++at) {
      if (!at->second.place) continue;
      if (best == by_id_.end() || key(at->second) < key(best->second)) best = at;
    }
  }
  if (best == by_id_.end()) return std::nullopt;
  leave_line(best->first, best->second);
  return best->first;
}

std::optional<Time> Admission::next_turn() const {
  if (!may_work_.empty()) return refilled_;
  if (waiting_ == 0) return std::nullopt;
  return refilled_ + limits_.cpu_one_in * std::max(Duration(1) - cpu_left_, Duration(0));
}

void Admission::on_work(Time now, ConnectionId id, Duration cpu) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Stranger& stranger = found->second;
  if (stranger.source->second.exempt_until > now) return;
  refill(now);
  cpu_left_ -= cpu;
  stranger.cpu += cpu;
  stranger.source->second.cpu += cpu;
}

void Admission::refill(Time now) {
  if (now < refilled_) refilled_ = halved_ = now;  // the clock was set back: nothing is earned
  const Duration earned = (now - refilled_) / limits_.cpu_one_in;
  refilled_ += earned * limits_.cpu_one_in;  // the rest is earned with the next
  cpu_left_ = std::min(cpu_left_ + earned, limits_.cpu_burst);
  for (int times = 0; now - halved_ >= kHalfLife; ++times) {
    if (times == 64)
      halved_ = now;  // nothing is left to halve
    else
      halved_ += kHalfLife;
    forget_by_half();
  }
}

void Admission::forget_by_half() {
  for (auto at = sources_.begin(); at != sources_.end();) {
    at->second.cpu /= 2;
    const bool forget = at->second.connections == 0 && at->second.cpu < kForgotten;
    at = forget ? sources_.erase(at) : std::next(at);
  }
}

void Admission::on_closed(ConnectionId id) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) drop(found);
}

std::vector<ConnectionId> Admission::on_deadline(Time now) {
  std::vector<ConnectionId> late;
  for (auto at = by_id_.begin(); at != by_id_.end();) {
    const auto next = std::next(at);
    if (at->second.deadline <= now) {
      late.push_back(at->first);
      drop(at);
    }
    at = next;
  }
  return late;
}

std::optional<Time> Admission::next_deadline() const {
  std::optional<Time> first;
  for (const auto& [id, stranger] : by_id_)
    if (!first || stranger.deadline < *first) first = stranger.deadline;
  return first;
}

void Admission::check() const {
  ASSERT(by_id_.size() <= limits_.connections_max);
  std::size_t sum = 0, waiting = 0;
  for (const auto& [id, stranger] : by_id_) {
    ASSERT(stranger.bytes <= limits_.connection_bytes_max);
    sum += stranger.bytes;
    waiting += stranger.place ? 1U : 0U;
    ASSERT(!stranger.place || !may_work_.contains(id));
  }
  ASSERT(sum == bytes_ && waiting == waiting_);
  for (const ConnectionId id : may_work_) ASSERT(by_id_.contains(id));
  std::size_t count = 0;
  for (const auto& [name, source] : sources_) {
    ASSERT(source.connections > 0 || source.cpu >= kForgotten);
    count += source.connections;
  }
  ASSERT(count == by_id_.size());
  ASSERT(sources_.size() <= by_id_.size() + limits_.sources_charged_max);
  ASSERT(cpu_left_ <= limits_.cpu_burst);
}

}  // namespace longhaul::auth
