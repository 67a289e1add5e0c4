// Happenings and events of settings.hpp as text.
#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "netsim/quantity.hpp"
#include "netsim/settings.hpp"
#include "netsim/spec_words.hpp"

namespace netsim {
namespace {

using words::refuse;
using words::split_words;

std::string_view name_of(Direction d) {
  return d == Direction::kUp ? "up" : "down";
}

Result<Direction> parse_direction(std::string_view text) {
  if (text == "up") return Direction::kUp;
  if (text == "down") return Direction::kDown;
  return refuse("direction", text, "up or down");
}

Result<Duration> parse_length(std::string_view text) {
  const Duration length = TRY(parse_duration(text));
  if (length <= Duration{0}) return refuse("length", text, "more than 0 is expected");
  return length;
}

}  // namespace

Result<Happening> parse_happening(std::string_view text, const TraceFiles& files) {
  const auto word = split_words(text);
  const std::size_t n = word.size();
  const std::string_view verb = n == 0 ? std::string_view() : word[0];
  if (verb == "outage" && n == 2) return Outage{TRY(parse_length(word[1]))};
  if (verb == "partition" && n == 3)
    return Partition{TRY(parse_direction(word[1])), TRY(parse_length(word[2]))};
  if (verb == "route" && n == 2) return RouteStep{TRY(parse_signed_duration(word[1]))};
  if (verb == "rate" && n == 3)
    return RateStep{TRY(parse_direction(word[1])), TRY(parse_rate(word[2], files))};
  if (verb == "loss" && n == 3)
    return LossStep{TRY(parse_direction(word[1])), TRY(parse_loss(word[2], files))};
  if (verb == "pmtu" && n == 3) {
    const auto bytes = static_cast<std::uint32_t>(TRY(parse_count(word[1], 68, 65'535)));
    return PmtuDrop{bytes, TRY(parse_length(word[2]))};
  }
  if (verb == "rebind" && n == 1) return Rebind{false};
  if (verb == "rebind" && n == 2 && word[1] == "address") return Rebind{true};
  return refuse("event", text,
                "as outage 30s, partition up 10s, route +17ms, rate down 10mbit, loss up 1%, "
                "pmtu 1400 10s, rebind [address]");
}

std::string happening_text(const Happening& happening) {
  struct Printer {
    std::string operator()(const Outage& e) const { return "outage " + to_text(e.length); }
    std::string operator()(const Partition& e) const {
      return fmt::format("partition {} {}", name_of(e.direction), to_text(e.length));
    }
    std::string operator()(const RouteStep& e) const {
      return fmt::format("route {}{}", e.change.count() < 0 ? "" : "+", to_text(e.change));
    }
    std::string operator()(const RateStep& e) const {
      return fmt::format("rate {} {}", name_of(e.direction), rate_text(e.rate));
    }
    std::string operator()(const LossStep& e) const {
      return fmt::format("loss {} {}", name_of(e.direction), loss_text(e.loss));
    }
    std::string operator()(const PmtuDrop& e) const {
      return fmt::format("pmtu {} {}", e.mtu_bytes, to_text(e.length));
    }
    std::string operator()(const Rebind& e) const {
      return e.address_too ? "rebind address" : "rebind";
    }
  };
  return std::visit(Printer{}, happening);
}

Result<Event> parse_event(std::string_view text, const TraceFiles& files) {
  const auto word = split_words(text);
  if (word.size() < 3 || word[0] != "at")
    return refuse("event", text, "as 'at 60s outage 2s' or 'at 1h every 1h outage 2s'");
  Event event;
  event.at = TRY(parse_duration(word[1]));
  std::size_t used = 2;
  if (word[2] == "every" && word.size() > 3) {
    event.every = TRY(parse_length(word[3]));
    used = 4;
  }
  std::string rest;
  for (std::size_t i = used; i < word.size(); ++i) {
    if (!rest.empty()) rest += ' ';
    rest += word[i];
  }
  event.what = TRY(parse_happening(rest, files));
  return event;
}

std::string event_text(const Event& event) {
  const std::string every = event.every ? fmt::format(" every {}", to_text(*event.every)) : "";
  return fmt::format("at {}{} {}", to_text(event.at), every, happening_text(event.what));
}

}  // namespace netsim
