// Trains: many packets of one size at one pace, sent from one end and recorded at the other. Values
// and small state; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/units.hpp"
#include "lib/wire/probe.hpp"

namespace longhaul::probe {

struct TrainPlan {
  wire::TrainId train;
  std::uint32_t packets = 0, packet_bytes = 0;  // UDP payload
  BytesPerSecond rate;                          // of IP bytes; zero: as fast as it goes
};
bool is_sound(const wire::ProbeTrain& order);

// What became of a train. Times in microseconds, each by its own end's clock; kNever: it did not
// come, or was not sent.
struct TrainSamples {
  static constexpr std::int64_t kNever = -1;
  TrainPlan plan;
  std::uint32_t packet_ip_bytes = 0;
  std::vector<std::int64_t> sent_us, came_us;  // by number
  std::uint32_t came() const;
};

// Says how many packets are due.
class TrainSender {
 public:
  static constexpr std::uint32_t kBatchMax = 32;
  static constexpr Duration kCreditMax = std::chrono::milliseconds(2);
  TrainSender(Time now, const TrainPlan& plan, std::uint32_t packet_ip_bytes);
  const TrainPlan& plan() const { return plan_; }
  std::uint32_t next() const { return next_; }
  bool done() const { return next_ >= plan_.packets; }
  std::uint32_t due(Time now) const;  // packets of one batch; zero: not yet
  void on_sent(Time now, std::uint32_t packets);
  std::optional<Time> next_at() const;

 private:
  TrainPlan plan_;
  std::uint32_t packet_ip_bytes_;
  std::uint32_t next_ = 0;
  Time due_at_;  // of the next packet
};

// Notes when packets came.
class TrainRecord {
 public:
  static constexpr Duration kQuiet = std::chrono::milliseconds(250);
  TrainRecord(Time now, const TrainPlan& plan, Duration patience);
  const TrainPlan& plan() const { return samples_.plan; }
  void on_packet(Time now, std::uint32_t number, std::int64_t sent_us, std::int64_t came_us);
  bool over(Time now) const;  // all came, or none for a while
  Time over_at() const;
  const TrainSamples& samples() const { return samples_; }
  TrainSamples& samples() { return samples_; }

 private:
  TrainSamples samples_;
  std::uint32_t missing_;
  Time over_at_;
};

wire::ProbeArrivals report_of(wire::ProbeId probe, const TrainRecord& record);
// Fills came_us; false: the report does not fit the train.
enum class Fits : std::uint8_t { kNo, kYes };
Fits take_report(const wire::ProbeArrivals& report, TrainSamples& into);

}  // namespace longhaul::probe
