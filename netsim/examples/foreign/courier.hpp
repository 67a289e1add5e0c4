// Courier: sends one message until it is acknowledged, doubling its patience each time. A stand-in
// for your own protocol: a state machine that is told the time and never asks for it, so that the
// same code runs on sockets and on netsim.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace courier {

using Nanoseconds = std::chrono::nanoseconds;

class Courier {
 public:
  Courier(std::string message, Nanoseconds patience)
      : message_(std::move(message)), patience_(patience) {}

  // What to send now, if anything is due.
  std::optional<std::string> poll(Nanoseconds now) {
    if (acknowledged_ || (deadline_ && now < *deadline_)) return std::nullopt;
    deadline_ = now + patience_;
    patience_ *= 2;
    ++sent_;
    return message_;
  }
  void on_packet(const std::string& text) { acknowledged_ = acknowledged_ || text == "ack"; }
  std::optional<Nanoseconds> next_deadline() const {
    return acknowledged_ ? std::nullopt : deadline_;
  }
  bool done() const { return acknowledged_; }
  int sent() const { return sent_; }

 private:
  std::string message_;
  Nanoseconds patience_;
  std::optional<Nanoseconds> deadline_;
  bool acknowledged_ = false;
  int sent_ = 0;
};

}  // namespace courier
