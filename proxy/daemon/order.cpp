#include "proxy/daemon/order.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "lib/base/escape.hpp"
#include "lib/cli/json_line.hpp"
#include "proxy/daemon/lines.hpp"

namespace longhaul::daemon {
namespace {

constexpr std::array<std::string_view, 12> kStateWords{
    "queued",  "sent",   "received", "running", "applied", "expired",
    "refused", "denied", "failed",   "unknown", "missing", "withdrawn"};
static_assert(kStateWords.size() == static_cast<std::size_t>(OrderState::kWithdrawn) + 1);
constexpr std::array<std::string_view, 4> kKindWords{"steer", "push", "fetch", "follow"};

std::optional<OrderState> state_of(std::string_view word) {
  for (std::size_t i = 0; i < kStateWords.size(); ++i)
    if (kStateWords[i] == word) return static_cast<OrderState>(i);
  return std::nullopt;
}

cli::JsonLine list_json(const std::vector<std::string>& list) {
  cli::JsonLine line;
  for (std::size_t i = 0; i < list.size(); ++i) line.add(std::to_string(i), list[i]);
  return line;
}

std::vector<std::string> list_of(const Fields& fields, const std::string& name) {
  std::vector<std::string> list;
  for (std::size_t i = 0; i < kOrderListMax; ++i) {
    const std::string row = name + "/" + std::to_string(i);
    if (!fields.has(row)) break;
    list.push_back(fields.text(row));
  }
  return list;
}

}  // namespace

std::string_view name_of(OrderState state) {
  return kStateWords[static_cast<std::size_t>(state)];
}

OrderState state_of(wire::SteerState state) {
  switch (state) {
    case wire::SteerState::kReceived:
      return OrderState::kReceived;
    case wire::SteerState::kApplied:
      return OrderState::kApplied;
    case wire::SteerState::kExpired:
      return OrderState::kExpired;
    case wire::SteerState::kRefused:
      return OrderState::kRefused;
    case wire::SteerState::kDenied:
      return OrderState::kDenied;
  }
  return OrderState::kReceived;
}

std::string to_text(const Order& order) {
  cli::JsonLine line;
  line.add("event", "order").add("number", order.number).add("id", order.id);
  line.add("kind", kKindWords[static_cast<std::size_t>(order.kind)]).add("site", order.site);
  line.add("target", order.target).add("state", name_of(order.state));
  if (order.kind == OrderKind::kSteer) {
    line.add("command", order.command);
  } else if (order.kind != OrderKind::kPush) {
    line.add("into", order.into).add("full", order.full).add("full_daily", order.full_daily);
    line.add("keep", order.keep).add("limit_rate", order.limit_rate).add("tries", order.tries);
  } else {
    line.add("source", order.source).add("files_from", order.files_from);
    line.add("limit_rate", order.limit_rate).add("mode", order.mode).add("tries", order.tries);
    line.add("exclude", list_json(order.excludes));
    line.add("exclude_from", list_json(order.exclude_from));
  }
  line.add("made_ns", order.made.ns).add("expires_ns", order.expires.ns);
  line.add("attempt", order.attempt).add("step", order.step).add("text", order.text);
  return line.text();
}

Result<Order> parse_order(std::string_view text) {
  if (text.size() > kOrderTextMax) return fail(Kind::kLimit, "read an order", "it is too long");
  const Fields fields = TRY(Fields::parse(text));
  const auto broken = [](const char* what) {
    return fail(Kind::kMalformed, "read an order", what);
  };
  Order order;
  order.number = fields.count("number").value_or(0);
  order.id = fields.count("id").value_or(0);
  if (order.id == 0) return broken("it has no id");
  const auto kind = std::find(kKindWords.begin(), kKindWords.end(), fields.text("kind"));
  if (kind == kKindWords.end()) return broken("it is of no known kind");
  order.kind = static_cast<OrderKind>(kind - kKindWords.begin());
  order.site = fields.text("site");
  order.target = fields.text("target");
  if (order.site.empty() || order.target.empty()) return broken("it names no place");
  const auto state = state_of(fields.text("state"));
  if (!state) return broken("it is in no known state");
  order.state = *state;
  if (order.kind == OrderKind::kSteer) {
    order.command = fields.text("command");
    if (order.command.empty()) return broken("it names no command");
  } else if (order.kind != OrderKind::kPush) {
    order.into = fields.text("into");
    if (!order.into.starts_with('/')) return broken("it names no folder");
    order.full = fields.flag("full");
    order.full_daily = fields.flag("full_daily");
    order.keep = fields.count("keep").value_or(0);
  } else {
    order.source = fields.text("source");
    if (!order.source.starts_with('/')) return broken("it names no source");
    order.files_from = fields.text("files_from");
    order.mode = fields.text("mode");  // empty in orders of older versions
    order.excludes = list_of(fields, "exclude");
    order.exclude_from = list_of(fields, "exclude_from");
  }
  order.limit_rate = fields.text("limit_rate");
  order.tries = static_cast<std::uint32_t>(fields.count("tries").value_or(0));
  order.made.ns = fields.number("made_ns").value_or(0);
  order.expires.ns = fields.number("expires_ns").value_or(0);
  order.attempt = static_cast<std::uint32_t>(fields.count("attempt").value_or(0));
  order.step = fields.count("step").value_or(0);
  order.text = fields.text("text");
  return order;
}

std::string in_words(const Order& order) {
  if (order.kind == OrderKind::kPush)
    return "push of " + printable(order.source, 200) + " to " + printable(order.site, 64) + ":" +
           printable(order.target, 64);
  const std::string run = printable(order.site, 64) + "/" + printable(order.target, 200);
  if (order.kind == OrderKind::kSteer) return printable(order.command, 80) + " to " + run;
  const bool each = order.kind == OrderKind::kFollow;
  return (each ? "checkpoints of " : "a checkpoint of ") + run + " to " +
         printable(order.into, 200);
}

}  // namespace longhaul::daemon
