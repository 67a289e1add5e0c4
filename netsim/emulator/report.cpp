#include "netsim/emulator/report.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "netsim/quantity.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {
namespace {

using Json = nlohmann::ordered_json;

// Longer than this without an empty input, and packets waited in the kernel before we timed them.
constexpr Duration kBacklogMax = std::chrono::milliseconds(10);

double us_of(Duration d) {
  return static_cast<double>(d.count() / 10) / 100;
}

Json lateness_json(const Lateness& l) {
  return {{"packets", l.count()},
          {"mean", us_of(l.mean())},
          {"p50", us_of(l.quantile(0.5))},
          {"p99", us_of(l.quantile(0.99))},
          {"max", us_of(l.max())}};
}

Json direction_json(const Engine& engine, Direction d) {
  const Pipe& pipe = engine.link().pipe(d);
  const PipeCounters& in = pipe.counters();
  const EngineCounters& moved = engine.counters(d);
  Json dropped = Json::object();
  for (std::size_t i = 0; i < kDropReasons; ++i)
    dropped[std::string(name_of(static_cast<DropReason>(i)))] = in.dropped[i];
  return {{"packets_in", in.packets_in},
          {"bytes_in", in.bytes_in},
          {"packets_out", moved.segments_out},
          {"bytes_out", moved.bytes_out},
          {"dropped", dropped},
          {"dropped_total", in.dropped_total()},
          {"marked", in.marked},
          {"corrupted", in.corrupted},
          {"duplicated", in.duplicated},
          {"held_back", in.held_back},
          {"inside", pipe.packets_inside()},
          {"queue_bytes", pipe.queue_bytes()},
          {"queue_bytes_max", in.queue_bytes_max},
          {"trains_in", moved.trains_in},
          {"trains_out", moved.trains_out},
          {"not_ip", moved.not_ip},
          {"link_local", moved.link_local},
          {"not_written", moved.not_written},
          {"too_big_replies", moved.too_big_replies},
          {"longest_backlog_us", us_of(engine.longest_backlog(d))}};
}

}  // namespace

std::string report_json(const Engine& engine, const RunFacts& facts) {
  Lateness all;
  Duration backlog{};
  for (const Direction d : kBothWays) {
    all.merge(engine.lateness(d));
    backlog = std::max(backlog, engine.longest_backlog(d));
  }
  const auto why = invalid_because(all, engine.smallest_rtt());
  std::vector<std::string> notes = facts.notes;
  if (!facts.realtime)
    notes.push_back("real-time scheduling is not permitted (CAP_SYS_NICE): expect more lateness");
  if (backlog > kBacklogMax)
    notes.push_back("for " + to_text(std::chrono::round<std::chrono::milliseconds>(backlog)) +
                    " the emulator, not the link, was the bottleneck");
  if (facts.dropped_before_link > 0)
    notes.push_back(std::to_string(facts.dropped_before_link) +
                    " packets were dropped before the link: the sender outran the emulator");
  Json out;
  out["valid"] = !why.has_value();
  out["why"] = why.value_or("");
  out["backend"] = facts.backend;
  out["realtime"] = facts.realtime;
  out["seed"] = facts.seed;
  out["elapsed_s"] = static_cast<double>(facts.elapsed.count() / 1'000'000) / 1000;
  out["link"] = Json::parse(to_json(engine.link().config()));
  out["lateness_us"] = lateness_json(all);
  for (const Direction d : kBothWays)
    out[d == Direction::kUp ? "up" : "down"] = direction_json(engine, d);
  out["dropped_before_link"] = facts.dropped_before_link;
  out["capture_lost"] = facts.capture_lost;
  out["notes"] = notes;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace netsim::emulator
