#include "netsim/nat.hpp"

#include <fmt/format.h>

namespace netsim {

std::string to_string(Endpoint endpoint) {
  const Address a = endpoint.address;
  const unsigned net = a >= kFirstAlias ? 100 : 10;  // 100.64/10 is where carriers' NATs live
  return fmt::format("{}.{}.{}.{}:{}", net, (a >> 16) & 0xffU, (a >> 8) & 0xffU, a & 0xffU,
                     endpoint.port);
}

void Nat::rebind(std::optional<Address> new_address) {
  active_ = true;
  if (new_address) address_ = new_address;
  outside_of_.clear();
  inside_of_.clear();
}

void Nat::forget_idle(Duration span) {
  active_ = true;
  idle_ = span;
}

void Nat::advance(Time now) {
  now_ = now;
  if (!idle_) return;
  std::erase_if(outside_of_, [this](const auto& mapping) {
    const bool idle = mapping.second.used + *idle_ <= now_;
    if (idle) inside_of_.erase(mapping.second.at);
    return idle;
  });
}

Endpoint Nat::outward(Endpoint inside) {
  if (!active_) return inside;
  const auto known = outside_of_.find(inside);
  if (known != outside_of_.end()) {
    known->second.used = now_;
    return known->second.at;
  }
  const Endpoint outside{address_.value_or(inside.address), next_port_};
  next_port_ = next_port_ == 65535 ? 49152 : static_cast<std::uint16_t>(next_port_ + 1);
  outside_of_[inside] = {outside, now_};
  inside_of_[outside] = inside;
  return outside;
}

std::optional<Endpoint> Nat::inward(Endpoint outside) const {
  if (!active_) return outside;
  const auto known = inside_of_.find(outside);
  if (known == inside_of_.end()) return std::nullopt;
  return known->second;
}

}  // namespace netsim
