#include "proxy/telemetry_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <numeric>

#include "lib/base/escape.hpp"
#include "proxy/link_model.hpp"

namespace longhaul::proxy {

namespace {

double ms(Duration span) {
  return static_cast<double>(span.count()) / 1e6;
}

// Bytes by lane, of those that carried any.
cli::JsonLine lanes_line(const session::LaneBytes& bytes) {
  cli::JsonLine line;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] > 0) line.add(session::name_of(static_cast<session::Lane>(i)), bytes[i]);
  return line;
}

cli::JsonLine udp_line(const session::Status& status) {
  const datagram::RateState& rate = status.datagram_rate;
  const datagram::ChannelCounters& count = status.datagram_counters;
  cli::JsonLine udp;
  udp.add("life", datagram::name_of(status.datagram_life))
      .add("phase", datagram::name_of(rate.phase));
  udp.add("pacing", rate.pacing.value())
      .add("delivered", rate.delivered.value())
      .add("capacity", rate.capacity.value());
  udp.add("window", rate.window.value()).add("in_flight", rate.in_flight.value());
  udp.add("rtt_ms", ms(status.datagram_rtt))
      .add("rtt_min_ms", ms(rate.rtt_min))
      .add("queue_ms", ms(rate.queue));
  udp.add("loss_ppm", rate.loss_ppm).add("congestion_loss_ppm", rate.congestion_loss_ppm);
  udp.add("packet_bytes", status.packet_bytes).add("epoch", status.epoch);
  udp.add("packets_out", count.packets_out)
      .add("bytes_out", count.bytes_out)
      .add("packets_in", count.packets_in)
      .add("bytes_in", count.bytes_in);
  udp.add("lost", count.lost)
      .add("spurious", count.spurious)
      .add("resent_early", count.resent_early)
      .add("acks_out", count.acks_out);
  udp.add("refused", std::accumulate(count.refused.begin(), count.refused.end(), std::uint64_t{0}))
      .add("stalls", count.stalls)
      .add("address_changes", count.address_changes);
  return udp;
}

}  // namespace

cli::JsonLine telemetry_line(Duration since, const session::Status& status) {
  cli::JsonLine line;
  line.add("seconds", static_cast<double>(since.count()) / 1e9);
  line.add("path", status.datagrams ? "udp" : "tls").add("why", session::name_of(status.choice));
  line.add("wait", wait_of(status)).add("acked_bytes", status.acked_bytes);
  line.add("queued_bytes", status.queued_bytes)
      .add("unacked_bytes", status.unacked_bytes)
      .add("requeued_bytes", status.requeued_bytes);
  line.add("connections", status.control_paths + status.bulk_paths)
      .add("connections_wanted", status.bulk_wanted);
  line.add("rtt_ms", ms(status.rtt)).add("queue_ms", ms(status.queue));
  line.add("delivered", status.delivered.value())
      .add("cap", status.cap.value())
      .add("loss_ppm", status.loss_ppm);
  line.add("sent", lanes_line(status.sent)).add("received", lanes_line(status.received));
  if (status.packet_bytes > 0) line.add("udp", udp_line(status));
  return line;
}

Result<std::unique_ptr<TelemetryFile>> TelemetryFile::create(const std::string& path) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
  if (file < 0) return fail_errno("write the telemetry " + printable(path), errno);
  return std::unique_ptr<TelemetryFile>(new TelemetryFile(file));
}

TelemetryFile::~TelemetryFile() {
  if (file_ >= 0) ::close(file_);
}

void TelemetryFile::write(Duration since, const session::Status& status) {
  if (file_ < 0) return;
  const std::string line = telemetry_line(since, status).text() + "\n";
  const ssize_t wrote = ::write(file_, line.data(), line.size());
  if (wrote == static_cast<ssize_t>(line.size()) || (wrote < 0 && errno == EAGAIN)) return;
  ::close(file_);
  file_ = -1;
}

}  // namespace longhaul::proxy
