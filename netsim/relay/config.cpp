#include "netsim/relay/config.hpp"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "netsim/quantity.hpp"
#include "netsim/spec_words.hpp"

namespace netsim::relay {
namespace {

using words::refuse;
using words::split;
using words::tail_of;

constexpr std::array kHelp{
    KeyHelp{"window", "64MiB", "receive window of the modelled TCP"},
    KeyHelp{"congestion", "cubic|reno|none", "what caps its data in flight besides the window"},
    KeyHelp{"slice", "none|64B/10ms", "hand on at most so many bytes at once, so far apart"},
    KeyHelp{"limit", "none|1MB[,reset]", "close, or reset, after so many bytes"},
    KeyHelp{"slow-close", "2s", "pass the end of a stream on this much later"},
    KeyHelp{"blackhole", "yes|no", "hold everything back"},
};

Result<std::optional<SliceFault>> parse_slice(std::string_view text) {
  if (text == "none") return std::nullopt;
  const auto parts = split(text, '/');
  if (parts.size() != 2) return refuse("slice", text, "as 64B/10ms: size and gap");
  const SliceFault out{TRY(parse_size(parts[0])), TRY(parse_duration(parts[1]))};
  if (out.bytes.value() == 0) return refuse("slice", text, "a slice has at least one byte");
  return out;
}

Result<std::optional<LimitFault>> parse_limit(std::string_view text) {
  if (text == "none") return std::nullopt;
  const auto parts = split(text, ',');
  if (parts.size() > 2 || (parts.size() == 2 && parts[1] != "reset"))
    return refuse("limit", text, "as 1MB or 1MB,reset");
  return LimitFault{TRY(parse_size(parts[0])), parts.size() == 2};
}

// True if `key` was one of a direction's faults.
Result<std::optional<StreamFaults>> with_fault(StreamFaults faults, std::string_view key,
                                               std::string_view value) {
  if (key == "slice") {
    faults.slice = TRY(parse_slice(value));
  } else if (key == "limit") {
    faults.limit = TRY(parse_limit(value));
  } else if (key == "slow-close") {
    faults.slow_close = TRY(parse_duration(value));
  } else if (key == "blackhole") {
    if (value != "yes" && value != "no") return refuse("blackhole", value, "yes or no");
    faults.blackhole = value == "yes";
  } else {
    return std::nullopt;
  }
  return faults;
}

Result<> set_window(TcpModelOptions& tcp, std::string_view value) {
  const ByteCount window = TRY(parse_size(value));
  if (window < ByteCount(1448) || window > ByteCount(1U << 30))
    return refuse("window", value, "a window is from 1448B to 1GiB");
  tcp.window_max = window;
  return {};
}

Result<std::optional<Congestion>> parse_congestion(std::string_view text) {
  if (text == "cubic") return Congestion::kCubic;
  if (text == "reno") return Congestion::kReno;
  if (text == "none") return std::nullopt;
  return refuse("congestion", text, "cubic, reno or none");
}

void add_faults(nlohmann::ordered_json& json, const StreamFaults& f) {
  if (f.slice) json["slice"] = fmt::format("{}/{}", to_text(f.slice->bytes), to_text(f.slice->gap));
  if (f.limit) json["limit"] = to_text(f.limit->bytes) + (f.limit->reset ? ",reset" : "");
  if (f.slow_close > Duration{}) json["slow-close"] = to_text(f.slow_close);
  if (f.blackhole) json["blackhole"] = "yes";
}

}  // namespace

std::span<const KeyHelp> relay_key_help() {
  return kHelp;
}

Result<RelayConfig> with(const RelayConfig& base, std::span<const Assignment> assignments,
                         const TraceFiles& files) {
  RelayConfig out = base;
  std::vector<Assignment> of_link;
  for (const bool narrow : {false, true}) {
    for (const Assignment& a : assignments) {
      const auto up = tail_of(a.key, "up."), down = tail_of(a.key, "down.");
      if ((up || down) != narrow) continue;
      const std::string_view key = up ? *up : down ? *down : std::string_view(a.key);
      bool taken = false;
      for (const Direction d : kBothWays) {
        if ((up && d == Direction::kDown) || (down && d == Direction::kUp)) continue;
        auto& faults = out.faults[static_cast<std::size_t>(d)];
        const auto changed = TRY(with_fault(faults, key, a.value));
        if (changed) faults = *changed;
        taken = taken || changed;
      }
      if (taken) continue;
      if (a.key == "window") {
        TRY(set_window(out.tcp, a.value));
      } else if (a.key == "congestion") {
        out.tcp.congestion = TRY(parse_congestion(a.value));
      } else {
        of_link.push_back(a);
      }
    }
  }
  out.link = TRY(netsim::with(base.link, of_link, files));
  return out;
}

std::string to_json(const RelayConfig& config) {
  auto json = nlohmann::ordered_json::parse(to_json(config.link));
  add_faults(json["up"], config.faults[0]);
  add_faults(json["down"], config.faults[1]);
  for (const char* way : {"up", "down"})
    if (json[way].is_null()) json.erase(way);
  json["window"] = to_text(config.tcp.window_max);
  const auto congestion = config.tcp.congestion;
  json["congestion"] = !congestion ? "none" : *congestion == Congestion::kReno ? "reno" : "cubic";
  return json.dump();
}

}  // namespace netsim::relay
