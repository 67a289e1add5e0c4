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

Json pipe_json(const Pipe& pipe) {
  const PipeCounters& in = pipe.counters();
  Json dropped = Json::object();
  for (std::size_t i = 0; i < kDropReasons; ++i)
    dropped[std::string(name_of(static_cast<DropReason>(i)))] = in.dropped[i];
  return {{"packets_in", in.packets_in},         {"bytes_in", in.bytes_in},
          {"delivered", in.delivered},           {"dropped", dropped},
          {"dropped_total", in.dropped_total()}, {"marked", in.marked},
          {"corrupted", in.corrupted},           {"duplicated", in.duplicated},
          {"held_back", in.held_back},           {"inside", pipe.packets_inside()},
          {"queue_bytes", pipe.queue_bytes()},   {"queue_bytes_max", in.queue_bytes_max}};
}

// What a host sent, as seen before any link.
Json sent_json(const HostCounters& c) {
  return {{"trains_in", c.trains_in},
          {"not_ip", c.not_ip},
          {"link_local", c.link_local},
          {"unroutable", c.unroutable},
          {"too_big_replies", c.too_big_replies},
          {"longest_backlog_us", us_of(c.longest_backlog)}};
}

// What it was given.
Json given_json(const HostCounters& c) {
  return {{"packets_out", c.segments_out},
          {"bytes_out", c.bytes_out},
          {"trains_out", c.trains_out},
          {"not_written", c.not_written},
          {"unmapped", c.unmapped}};
}

// Two hosts: all about one direction together, from its sender to its receiver.
Json direction_json(const Engine& engine, Direction d) {
  const std::size_t from = d == Direction::kUp ? 0 : 1;
  Json out = pipe_json(engine.link(0).pipe(d));
  out.update(sent_json(engine.counters(from)));
  out.update(given_json(engine.counters(1 - from)));
  return out;
}

Json connection_json(const ConnectionFacts& c) {
  return {{"local_port", c.local_port},
          {"remote_port", c.remote_port},
          {"congestion", c.congestion},
          {"sndbuf_bytes", c.sndbuf_bytes},
          {"rcvbuf_bytes", c.rcvbuf_bytes},
          {"rtt_us", c.rtt_us},
          {"min_rtt_us", c.min_rtt_us},
          {"cwnd_segments", c.cwnd_segments},
          {"mss_bytes", c.mss_bytes},
          {"bytes_acked", c.bytes_acked},
          {"bytes_received", c.bytes_received},
          {"retransmitted_segments", c.retransmitted_segments},
          {"delivery_bytes_per_s", c.delivery_bytes_per_s}};
}

Json sockets_json(const HostFacts& f) {
  Json connections = Json::array();
  for (const ConnectionFacts& c : f.most) connections.push_back(connection_json(c));
  return {{"tcp",
           {{"connections", f.connections},
            {"congestion", f.congestion},
            {"sndbuf_bytes_max", f.tcp_sndbuf_max},
            {"rcvbuf_bytes_max", f.tcp_rcvbuf_max},
            {"retransmitted_segments", f.tcp_retransmitted_segments},
            {"info", connections}}},
          {"udp",
           {{"sockets", f.udp_sockets},
            {"sndbuf_bytes_max", f.udp_sndbuf_max},
            {"rcvbuf_bytes_max", f.udp_rcvbuf_max},
            {"dropped_receive_buffer", f.udp_dropped_receive_buffer},
            {"dropped_send_buffer", f.udp_dropped_send_buffer},
            {"dropped_no_port", f.udp_no_port}}}};
}

bool is_one_link(const Topology& topology) {
  return topology.hosts.size() == 2 && topology.links.size() == 1;
}

void write_counters(Json& out, const Engine& engine) {
  const Topology& topology = engine.topology();
  if (is_one_link(topology)) {
    out["up"] = direction_json(engine, Direction::kUp);
    out["down"] = direction_json(engine, Direction::kDown);
    return;
  }
  for (std::size_t i = 0; i < topology.links.size(); ++i) {
    const Link& state = engine.link(i);
    out["links"][topology.links[i].name] = {{"up", pipe_json(state.pipe(Direction::kUp))},
                                            {"down", pipe_json(state.pipe(Direction::kDown))}};
  }
  for (std::size_t h = 0; h < topology.hosts.size(); ++h) {
    out["hosts"][topology.hosts[h]] = sent_json(engine.counters(h));
    out["hosts"][topology.hosts[h]].update(given_json(engine.counters(h)));
  }
}

void write_configs(Json& out, const Engine& engine) {
  const Topology& topology = engine.topology();
  for (std::size_t i = 0; i < topology.links.size(); ++i) {
    const TopologyLink& link = topology.links[i];
    Json& of_link = is_one_link(topology) ? out : out["links"][link.name];
    of_link["link"] = Json::parse(to_json(engine.link(i).config()));
    if (!is_one_link(topology))
      of_link["between"] = {topology.hosts[link.a], topology.hosts[link.b]};
  }
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string counters_json(const Engine& engine) {
  Json out;
  write_counters(out, engine);
  return dump(out);
}

std::string report_json(const Engine& engine, const RunFacts& facts) {
  Duration backlog{};
  for (std::size_t h = 0; h < engine.topology().hosts.size(); ++h)
    backlog = std::max(backlog, engine.counters(h).longest_backlog);
  const auto why = invalid_because(engine.lateness(), engine.smallest_rtt());
  std::vector<std::string> notes = facts.notes;
  if (!facts.realtime)
    notes.push_back(
        "real-time scheduling is not permitted (CAP_SYS_NICE; in a container also docker run "
        "--cpu-rt-runtime): expect more lateness");
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
  out["lateness_us"] = lateness_json(engine.lateness());
  write_counters(out, engine);
  write_configs(out, engine);
  for (std::size_t h = 0; h < facts.sockets.size(); ++h)
    out["sockets"][engine.topology().hosts[h]] = sockets_json(facts.sockets[h]);
  out["dropped_before_link"] = facts.dropped_before_link;
  out["capture_lost"] = facts.capture_lost;
  out["notes"] = notes;
  return dump(out);
}

}  // namespace netsim::emulator
