// Settings: a whole link, and live changes to it, as text. One grammar everywhere: on a command
// line
// ("rtt=300ms", "down.loss=1%"), in a profile's JSON, over a control socket. Pure: reads no file
// itself.
//
// Keys (spec.hpp and quantity.hpp have the forms of the values). A plain key sets both directions,
// `up.KEY` or `down.KEY` one of them; `rtt` sets both delays to half of it.
//
//   rtt delay jitter correlation may-reorder loss rate queue policer aggregation reorder duplicate
//   corrupt mtu pmtu-reply
//
//   auto profile = TRY(link_from_json(text));
//   const std::vector<Assignment> words{TRY(parse_assignment("rtt=300ms")),
//   TRY(parse_assignment("queue=1bdp"))}; LinkConfig link = TRY(with(profile, words));
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "netsim/config.hpp"
#include "netsim/spec.hpp"

namespace netsim {

struct Assignment {
  std::string key, value;
  bool operator==(const Assignment&) const = default;
};
Result<Assignment> parse_assignment(std::string_view text);  // "rtt=300ms"

// One line of help per key: for --help and docs.
struct KeyHelp {
  std::string_view key, form, meaning;
};
std::span<const KeyHelp> key_help();

// `base` with all assignments made at once, checked. Their order does not matter: plain keys first,
// then up. and down., then queues, so that `1bdp` and `100ms` of queue refer to the new rate and
// delays. A queue that is not named keeps its bytes when the rate changes, as a real buffer does.
// The same key twice is refused.
Result<LinkConfig> with(const LinkConfig& base, std::span<const Assignment> assignments,
                        const TraceFiles& files = {});

// The setting's present value in the form with() reads: ("down.loss") -> "ge:0.05%/5".
Result<std::string> value_of(const LinkConfig& link, std::string_view key);

// ---- Things that happen: now ("outage 30s"), or on the timeline ("at 60s every 1h outage 2s")
// ----
//   outage LENGTH | partition up|down LENGTH | route +17ms | rate up|down RATE | loss up|down LOSS
//   pmtu BYTES LENGTH | rebind [address]
using Happening = decltype(Event::what);
Result<Happening> parse_happening(std::string_view text, const TraceFiles& files = {});
std::string happening_text(const Happening& happening);
Result<Event> parse_event(std::string_view text, const TraceFiles& files = {});
std::string event_text(const Event& event);

// ---- JSON ----
// {"rtt": "158ms", "loss": "ge:0.05%/5", "up": {"rate": "300mbit"}, "events": ["at 1h every 1h
// outage 2s"]} Values are strings. Unknown keys are refused, and so is anything check() refuses.
// to_json() writes the form with every difference from a default link under "up" and "down";
// reading it back gives an equal LinkConfig.
inline constexpr std::size_t kLinkJsonMax = 64U << 20;
inline constexpr std::size_t kEventsMax = 10'000;
// `base`: what the settings change; events given replace its events.
Result<LinkConfig> link_from_json(std::string_view json, const TraceFiles& files = {},
                                  LinkConfig base = {});
std::string to_json(const LinkConfig& link);  // one line

// ---- Control requests: one JSON object a line ----
//   {"set": {"rtt": "300ms", "up.loss": "1%"}}    a live change, all or nothing
//   {"do": "outage 30s"}                          a happening now, or what else the face
//   understands ("stop")
//   {"get": "counters"}                           what the face offers to show
struct SetRequest {
  std::vector<Assignment> assignments;
  bool operator==(const SetRequest&) const = default;
};
struct DoRequest {
  std::string words;
  bool operator==(const DoRequest&) const = default;
};
struct GetRequest {
  std::string what;
  bool operator==(const GetRequest&) const = default;
};
using ControlRequest = std::variant<SetRequest, DoRequest, GetRequest>;
inline constexpr std::size_t kControlLineMax = 64U << 10;

// A face with several links takes `"link": "NAME"` beside the request; without `link` it is
// refused.
Result<ControlRequest> request_from_json(std::string_view line, std::string* link = nullptr);
// One line, without its end.
std::string to_json(const ControlRequest& request, const std::string& link = "");
// As a person types it after `netsim ctl X`: "set rtt=300ms loss=1%", "get counters", anything else
// is a "do".
Result<ControlRequest> request_from_words(std::span<const std::string> words);

// The answers: {"ok":true,"result":RESULT} (RESULT is JSON already) and
// {"ok":false,"kind":..,"error":..}.
std::string ok_reply(std::string_view result_json = "{}");
std::string error_reply(const longhaul::Error& error);
struct ControlReply {
  bool ok = false;
  std::string text;  // the result's JSON, or the error's line
};
Result<ControlReply> parse_reply(std::string_view line);

}  // namespace netsim
