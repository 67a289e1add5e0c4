#include "netsim/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "lib/base/escape.hpp"
#include "netsim/quantity.hpp"
#include "netsim/spec_words.hpp"

namespace netsim {
namespace {

using words::refuse;
using words::tail_of;

constexpr std::array kHelp{
    KeyHelp{"rtt", "150ms", "round-trip propagation: half of it each way"},
    KeyHelp{"delay", "75ms", "one-way propagation"},
    KeyHelp{"jitter", "none|uniform:2ms|normal:1ms|pareto:4ms/30ms|pareto-normal:..|table:..",
            "what comes on top of the delay, per packet"},
    KeyHelp{"correlation", "30%", "of successive jitter draws"},
    KeyHelp{"may-reorder", "yes|no", "whether jitter lets packets overtake"},
    KeyHelp{"loss", "none|1%|ge:0.8%/12|4state:..|nth:1000|pattern:001|trace:FILE",
            "random loss before the bottleneck"},
    KeyHelp{"rate", "unlimited|100mbit[,overhead:38B]|12.5MB/s|trace:FILE", "the bottleneck"},
    KeyHelp{"queue", "1bdp|100ms|512KiB|1000p|unlimited[,codel|pie|drophead][,ecn|mark:64KiB]",
            "its buffer"},
    KeyHelp{"policer", "none|100mbit,256KiB", "token bucket without a queue"},
    KeyHelp{"aggregation", "none|32p/2ms", "Wi-Fi style bursts"},
    KeyHelp{"reorder", "none|1%/5ms", "share of packets held back, and by how much"},
    KeyHelp{"duplicate", "0.1%", "share of packets sent twice"},
    KeyHelp{"corrupt", "none|0.01%[,after-checksum]", "share of packets with a flipped bit"},
    KeyHelp{"mtu", "1500", "largest IP packet in bytes"},
    KeyHelp{"pmtu-reply", "yes|no", "no: larger packets vanish without a word"},
};

Result<> set_switch(std::string_view key, std::string_view value, bool& out) {
  if (value != "yes" && value != "no") return refuse(key, value, "yes or no");
  out = value == "yes";
  return {};
}

// One key of one direction; the queue is read last, by set_queue().
Result<> set_field(DirectionConfig& d, std::string_view key, std::string_view value,
                   const TraceFiles& files) {
  if (key == "delay") {
    d.delay.base = TRY(parse_duration(value));
  } else if (key == "jitter") {
    d.delay.jitter = TRY(parse_jitter(value));
  } else if (key == "correlation") {
    d.delay.correlation = TRY(parse_share(value));
  } else if (key == "may-reorder") {
    TRY(set_switch(key, value, d.delay.may_reorder));
  } else if (key == "loss") {
    d.loss = TRY(parse_loss(value, files));
  } else if (key == "rate") {
    d.rate = TRY(parse_rate(value, files));
  } else if (key == "policer") {
    d.policer = TRY(parse_policer(value));
  } else if (key == "aggregation") {
    d.aggregation = TRY(parse_aggregation(value));
  } else if (key == "reorder") {
    d.reorder = TRY(parse_reorder(value));
  } else if (key == "duplicate") {
    d.duplicate = TRY(parse_share(value));
  } else if (key == "corrupt") {
    d.corrupt = TRY(parse_corrupt(value));
  } else if (key == "mtu") {
    d.mtu_bytes = static_cast<std::uint32_t>(TRY(parse_count(value, 68, 65'535)));
  } else if (key == "pmtu-reply") {
    TRY(set_switch(key, value, d.pmtu_reply));
  } else {
    return refuse("setting", key, "no such key; they are listed by netsim profiles --help");
  }
  return {};
}

std::string field_text(const DirectionConfig& d, std::string_view key) {
  const auto yes_no = [](bool on) { return std::string(on ? "yes" : "no"); };
  if (key == "delay") return to_text(d.delay.base);
  if (key == "jitter") return jitter_text(d.delay.jitter);
  if (key == "correlation") return share_text(d.delay.correlation);
  if (key == "may-reorder") return yes_no(d.delay.may_reorder);
  if (key == "loss") return loss_text(d.loss);
  if (key == "rate") return rate_text(d.rate);
  if (key == "queue") return queue_text(d.queue);
  if (key == "policer") return policer_text(d.policer);
  if (key == "aggregation") return aggregation_text(d.aggregation);
  if (key == "reorder") return reorder_text(d.reorder);
  if (key == "duplicate") return share_text(d.duplicate);
  if (key == "corrupt") return corrupt_text(d.corrupt);
  if (key == "mtu") return fmt::format("{}", d.mtu_bytes);
  if (key == "pmtu-reply") return yes_no(d.pmtu_reply);
  return {};
}

struct Target {
  std::optional<Direction> only;  // nullopt: both
  std::string_view key;
};
Target target_of(std::string_view key) {
  if (const auto rest = tail_of(key, "up.")) return {Direction::kUp, *rest};
  if (const auto rest = tail_of(key, "down.")) return {Direction::kDown, *rest};
  return {std::nullopt, key};
}

Result<> set_rtt(LinkConfig& link, std::string_view value) {
  const Duration rtt = TRY(parse_duration(value));
  link.up.delay.base = rtt / 2;
  link.down.delay.base = rtt - rtt / 2;
  return {};
}

Result<> set_queue(LinkConfig& link, Direction d, std::string_view value) {
  const Duration rtt = link.up.delay.base + link.down.delay.base;
  link[d].queue = TRY(parse_queue(value, QueueContext{link[d].rate, rtt}));
  return {};
}

// The same key twice, or a plain delay beside an rtt: which one wins would be a guess.
Result<> refuse_clashes(std::span<const Assignment> assignments) {
  for (std::size_t i = 0; i < assignments.size(); ++i)
    for (std::size_t j = 0; j < assignments.size(); ++j) {
      const std::string& a = assignments[i].key;
      const std::string& b = assignments[j].key;
      if (j < i && a == b) return refuse("setting", a, "it is given twice");
      if (a == "delay" && b == "rtt") return refuse("setting", a, "rtt is given too");
    }
  return {};
}

constexpr std::size_t kAssignmentsMax = 100;  // more than there are keys

}  // namespace

std::span<const KeyHelp> key_help() {
  return kHelp;
}

Result<Assignment> parse_assignment(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return refuse("setting", text, "as key=value, for example rtt=150ms");
  return Assignment{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<LinkConfig> with(const LinkConfig& base, std::span<const Assignment> assignments,
                        const TraceFiles& files) {
  if (assignments.size() > kAssignmentsMax)
    return longhaul::fail(longhaul::Kind::kUsage, "read settings", "too many of them");
  TRY(refuse_clashes(assignments));
  LinkConfig link = base;
  for (const bool narrow : {false, true}) {
    for (const Assignment& a : assignments) {
      const Target target = target_of(a.key);
      if (target.only.has_value() != narrow || target.key == "queue") continue;
      if (target.key == "rtt") {
        if (narrow) return refuse("setting", a.key, "rtt is of both ways; use delay for one");
        TRY(set_rtt(link, a.value));
        continue;
      }
      for (const Direction d : kBothWays)
        if (target.only.value_or(d) == d) TRY(set_field(link[d], target.key, a.value, files));
    }
  }
  for (const bool narrow : {false, true})
    for (const Assignment& a : assignments) {
      const Target target = target_of(a.key);
      if (target.key != "queue" || target.only.has_value() != narrow) continue;
      for (const Direction d : kBothWays)
        if (target.only.value_or(d) == d) TRY(set_queue(link, d, a.value));
    }
  TRY(check(link));
  return link;
}

Result<std::string> value_of(const LinkConfig& link, std::string_view key) {
  if (key == "rtt") return to_text(link.up.delay.base + link.down.delay.base);
  const Target target = target_of(key);
  const std::string up = field_text(link.up, target.key);
  const std::string down = field_text(link.down, target.key);
  if (up.empty()) return refuse("setting", key, "no such key");
  if (target.only) return *target.only == Direction::kUp ? up : down;
  if (up == down) return up;
  return fmt::format("{} up, {} down", up, down);
}

}  // namespace netsim
