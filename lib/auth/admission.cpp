#include "lib/auth/admission.hpp"

#include <algorithm>

namespace longhaul::auth {

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
  const auto source = per_source_.find(at->second.source);
  ASSERT(source != per_source_.end() && source->second > 0);
  if (--source->second == 0) per_source_.erase(source);
  bytes_ -= at->second.bytes;
  by_id_.erase(at);
}

std::vector<ConnectionId> Admission::on_accept(Time now, ConnectionId id,
                                               const std::string& address) {
  ASSERT(!by_id_.contains(id));
  const std::string source = source_of(address);
  const auto known = known_.find(source);
  const bool exempt = known != known_.end() && known->second > now;
  const auto same = per_source_.find(source);
  if (!exempt && same != per_source_.end() && same->second >= limits_.per_source_max) return {id};
  std::vector<ConnectionId> close;
  if (by_id_.size() >= limits_.connections_max) close.push_back(*evict());
  by_id_.emplace(id, Stranger{source, now + limits_.deadline, now, 0});
  ++per_source_[source];
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
  if (known_.size() < limits_.sources_known_max || known_.contains(found->second.source))
    known_[found->second.source] = now + limits_.known_for;
  drop(found);
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
  std::size_t sum = 0;
  for (const auto& [id, stranger] : by_id_) {
    ASSERT(stranger.bytes <= limits_.connection_bytes_max);
    sum += stranger.bytes;
  }
  ASSERT(sum == bytes_);
  std::size_t count = 0;
  for (const auto& [source, number] : per_source_) count += number;
  ASSERT(count == by_id_.size());
}

}  // namespace longhaul::auth
