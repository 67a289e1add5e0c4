#include "proxy/probe_text.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/human.hpp"

namespace longhaul::proxy {
namespace {

double seconds_of(Duration span) {
  return static_cast<double>(span / 1ms) / 1000;
}

std::string nat_text(const std::optional<probe::NatFigures>& nat) {
  if (!nat) return "not tested: --nat 2m takes two minutes of silence";
  if (!nat->answered) return "not known: the site does not answer such questions, it may be older";
  const std::string alive = nat->alive ? fmt::format("a port is remembered for {:g} s of silence",
                                                     seconds_of(*nat->alive))
                                       : "";
  if (!nat->expired) return alive + ", the longest that was tried";
  const std::string expired = fmt::format("{:.1f} s", seconds_of(*nat->expired));
  return nat->alive ? alive + ", and forgotten within " + expired
                    : "a port is forgotten within " + expired + " of silence";
}

std::string took_text(const std::optional<Duration>& took) {
  return took ? fmt::format("{:.2f} s", seconds_of(*took)) : "over a minute";
}

std::string compared_text(const std::optional<Comparison>& compared) {
  if (!compared) return "not compared: --compare 8MB moves as much over each";
  return fmt::format("{} up {} over UDP, {} over TLS; down {}, {}",
                     cli::human(ByteCount(compared->bytes)), took_text(compared->udp.up),
                     took_text(compared->tls.up), took_text(compared->udp.down),
                     took_text(compared->tls.down));
}

// A way that took too long has no member.
cli::JsonLine compared_json(const Comparison& compared) {
  cli::JsonLine out;
  out.add("bytes", compared.bytes);
  const auto add = [&out](const char* name, const std::optional<Duration>& took) {
    if (took) out.add(name, seconds_of(*took));
  };
  add("udp_up_s", compared.udp.up);
  add("tls_up_s", compared.tls.up);
  add("udp_down_s", compared.udp.down);
  add("tls_down_s", compared.tls.down);
  return out;
}

cli::JsonLine nat_json(const probe::NatFigures& nat) {
  cli::JsonLine out;
  out.add("answered", nat.answered);
  if (nat.alive) out.add("alive_s", seconds_of(*nat.alive));
  if (nat.expired) out.add("expired_s", seconds_of(*nat.expired));
  if (nat.answered) out.add("longest_tried_s", seconds_of(nat.tried));
  return out;
}

std::string bits(double bytes_per_second) {
  const double mbit = bytes_per_second * 8e-6;
  return mbit >= 1000 ? fmt::format("{:.2f} Gbit/s", mbit / 1000)
                      : fmt::format("{:.4g} Mbit/s", mbit);
}

std::string size_text(double bytes) {
  return cli::human(ByteCount(static_cast<std::uint64_t>(bytes)));
}

std::string way_lines(const char* name, const probe::WayFigures& way) {
  std::string out;
  const auto line = [&](const char* what, const std::string& text) {
    out += fmt::format("{:<6}{:<10}{}\n", out.empty() ? name : "", what, text);
  };
  if (!way.capacity) {
    line("capacity", "not known: no train of packets came through");
  } else if (way.capacity_is_floor) {
    line("capacity", "at least " + bits(way.capacity->value) + ": it was never full");
  } else {
    line("capacity", fmt::format("{} ({} to {})", bits(way.capacity->value),
                                 bits(way.capacity->low), bits(way.capacity->high)));
  }
  if (way.buffer && way.capacity && way.capacity->value > 0) {
    const double ms = way.buffer->value * 1000 / way.capacity->value;
    line("buffer", fmt::format("{}{}, {:.3g} ms", way.buffer_is_floor ? "at least " : "",
                               size_text(way.buffer->value), ms));
  }
  if (way.policer) {
    line("policer", fmt::format("{} after the first {}", bits(way.policer->rate),
                                size_text(way.policer->bucket)));
  } else if (way.capacity && !way.capacity_is_floor) {
    line("policer", "none seen");
  }
  if (way.loss) {
    std::string text =
        fmt::format("{:.3g} % ({:.2g} to {:.2g} %; {} of {} packets)", way.loss->value * 100,
                    way.loss->low * 100, way.loss->high * 100, way.lost, way.loss_of);
    if (way.lost > 0) text += fmt::format(", {:.1f} in a row", way.loss_burst);
    line("loss", text);
  }
  if (way.jitter) {
    const auto& at = *way.jitter;
    line("jitter", fmt::format("p50 {:.3g} ms, p95 {:.3g} ms, most {:.3g} ms above the least",
                               at[10] / 1000, at[19] / 1000, at[20] / 1000));
  }
  return out;
}

std::string rtt_text(const probe::RttFigures& rtt) {
  return fmt::format("{:.2f} ms least, {:.2f} ms p50, {:.2f} ms p99 ({} samples)", rtt.least_ms,
                     rtt.p50_ms, rtt.p99_ms, rtt.samples);
}

cli::JsonLine figure_json(const probe::Figure& figure, double scale) {
  cli::JsonLine out;
  out.add("value", figure.value * scale).add("low", figure.low * scale);
  out.add("high", figure.high * scale);
  return out;
}

cli::JsonLine rtt_json(const probe::RttFigures& rtt) {
  cli::JsonLine out;
  out.add("min_ms", rtt.least_ms).add("p50_ms", rtt.p50_ms).add("p99_ms", rtt.p99_ms);
  out.add("samples", rtt.samples);
  return out;
}

cli::JsonLine way_json(const probe::WayFigures& way) {
  cli::JsonLine out;
  if (way.capacity) {
    out.add("capacity_bits_per_second", figure_json(*way.capacity, 8));
    out.add("capacity_is_floor", way.capacity_is_floor);
  }
  if (way.buffer) {
    out.add("buffer_bytes", figure_json(*way.buffer, 1));
    out.add("buffer_is_floor", way.buffer_is_floor);
  }
  if (way.policer) {
    cli::JsonLine policer;
    policer.add("bits_per_second", way.policer->rate * 8).add("bucket_bytes", way.policer->bucket);
    out.add("policer", std::move(policer));
  }
  if (way.loss) {
    out.add("loss", figure_json(*way.loss, 1)).add("loss_burst_packets", way.loss_burst);
    out.add("lost_packets", way.lost).add("of_packets", way.loss_of);
    out.add("reordered", way.reordered);
  }
  if (way.jitter) {
    const auto& at = *way.jitter;
    out.add("jitter_p50_ms", at[10] / 1000).add("jitter_p95_ms", at[19] / 1000);
    out.add("jitter_most_ms", at[20] / 1000);
  }
  return out;
}

}  // namespace

std::string probe_text(const ProbeStory& story) {
  const probe::Figures& figures = story.figures;
  std::string out = fmt::format("path        {} ({})\n", story.path, story.why);
  if (!story.udp) {
    if (story.tls_rtt_ms > 0)
      out +=
          fmt::format("round trip  {:.2f} ms least, {:.2f} ms smoothed, of the TLS connections\n",
                      story.tls_rtt_least_ms, story.tls_rtt_ms);
    return out + "the rest    needs UDP, which is not answered\n";
  }
  if (figures.idle) out += "round trip  " + rtt_text(*figures.idle) + "\n";
  if (figures.loaded) out += "under load  " + rtt_text(*figures.loaded) + "\n";
  if (figures.mtu_bytes > 0) out += fmt::format("MTU         {} bytes\n", figures.mtu_bytes);
  if (figures.clock_offset_ms)
    out += fmt::format("clock       the site's is {:+.1f} ms from ours, to {:.0f} ms\n",
                       figures.clock_offset_ms->value,
                       figures.clock_offset_ms->high - figures.clock_offset_ms->value);
  out += fmt::format("NAT timer   {}\n", nat_text(story.nat));
  out += "UDP, TLS    " + compared_text(story.compared) + "\n";
  out += way_lines("up", figures.up);
  out += way_lines("down", figures.down);
  out += fmt::format(
      "sent        {} up, {} down, in {:.1f} s{}\n", cli::human(ByteCount(figures.bytes_up)),
      cli::human(ByteCount(figures.bytes_down)), static_cast<double>(figures.took / 1ms) / 1000,
      figures.cut_short ? "; the budget cut it short" : "");
  return out;
}

cli::JsonLine probe_json(const ProbeStory& story) {
  const probe::Figures& figures = story.figures;
  cli::JsonLine out;
  out.add("event", "probe").add("site", printable(story.site, 64));
  out.add("path", story.path).add("why", story.why).add("udp", story.udp);
  if (story.tls_rtt_ms > 0) {
    out.add("tls_rtt_ms", story.tls_rtt_ms).add("tls_rtt_min_ms", story.tls_rtt_least_ms);
  }
  if (!story.udp) return out;
  if (figures.idle) out.add("rtt", rtt_json(*figures.idle));
  if (figures.loaded) out.add("rtt_loaded", rtt_json(*figures.loaded));
  out.add("propagation_ms", figures.propagation_ms).add("mtu_bytes", figures.mtu_bytes);
  if (figures.clock_offset_ms) out.add("clock_offset_ms", figure_json(*figures.clock_offset_ms, 1));
  if (story.nat) out.add("nat", nat_json(*story.nat));
  if (story.compared) out.add("compared", compared_json(*story.compared));
  out.add("up", way_json(figures.up)).add("down", way_json(figures.down));
  out.add("bytes_up", figures.bytes_up).add("bytes_down", figures.bytes_down);
  out.add("seconds", static_cast<double>(figures.took / 1ms) / 1000);
  out.add("cut_short", figures.cut_short);
  return out;
}

}  // namespace longhaul::proxy
