#include "netsim/emulator/engine.hpp"

#include <algorithm>

#include "netsim/emulator/too_big.hpp"

namespace netsim::emulator {
namespace {

// A turn of reading or writing ends after this much, so that the other direction and the deadlines
// get theirs: 64 KiB trains take about 10 us each to read and 25 us to write, small packets 2 us.
constexpr std::size_t kBatchPackets = 64;
constexpr std::size_t kBatchBytes = 256 << 10;
// Below this a read is copied to a block of its size; above, the block that was read into is cut.
constexpr std::size_t kCopyMax = 4096;

}  // namespace

Engine::Engine(const LinkConfig& config, std::uint64_t seed, std::array<Port*, 2> ports, Time start)
    : link_(config, longhaul::Rng(seed, "link"), start),
      ports_(ports),
      corrupt_rng_(seed, "corrupted bit"),
      smallest_rtt_(config.up.delay.base + config.down.delay.base) {}

void Engine::note_rtt() {
  const LinkConfig& config = link_.config();
  smallest_rtt_ = std::min(smallest_rtt_, config.up.delay.base + config.down.delay.base);
}

Result<Engine::More> Engine::receive(Direction direction) {
  const std::size_t way = index(direction);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kBatchPackets && bytes < kBatchBytes; ++i) {
    if (!spare_) spare_ = Buffer(kPacketMax);
    const auto got = TRY(source(direction).read(MutableBytes(spare_.data(), kPacketMax)));
    const Time at = now();
    if (!got) {
      if (backlog_since_[way])
        longest_backlog_[way] = std::max(longest_backlog_[way], at - *backlog_since_[way]);
      backlog_since_[way].reset();
      return More::kNo;
    }
    if (!backlog_since_[way]) backlog_since_[way] = at;
    bytes += got->bytes;
    Buffer kept;
    if (got->bytes <= kCopyMax) {
      kept = Buffer(std::max<std::size_t>(got->bytes, 1));
      std::copy_n(spare_.data(), got->bytes, kept.data());
    } else {
      kept = std::move(spare_);
      kept.cut(got->bytes);
    }
    auto train = Train::of(std::move(kept), got->bytes, got->offload);
    if (!train) {
      ++counters_[way].not_ip;
    } else if (is_link_local_multicast(train->bytes())) {
      ++counters_[way].link_local;
    } else {
      admit(at, direction, *std::move(train));
    }
  }
  return More::kYes;
}

void Engine::admit(Time at, Direction direction, Train train) {
  ++counters_[index(direction)].trains_in;
  const std::uint32_t segments = train.segments();
  const Ecn ecn = train.ecn();
  const std::uint32_t slot = trains_.put(std::move(train));
  // Kept whole until all segments are in: drops are settled only afterwards.
  const Train& kept = trains_.at(slot);
  for (std::uint32_t k = 0; k < segments; ++k) {
    see({at, direction, Sighting::kEntered, kept, k, false, {}});
    link_.push(at, direction, {TrainTable::cookie(slot, k), kept.segment_bytes(k), ecn});
  }
  settle_drops();
}

void Engine::settle_drops() {
  while (link_.pop_rebind()) continue;  // no NAT here; the options said so
  for (const Direction d : kBothWays)
    while (const auto drop = link_.pop_drop(d)) {
      const std::uint32_t slot = TrainTable::slot_of(drop->cookie);
      const std::uint32_t k = TrainTable::segment_of(drop->cookie);
      const Train& train = trains_.at(slot);
      see({now(), d, Sighting::kDropped, train, k, false, name_of(drop->why)});
      if (drop->why == DropReason::kTooBig && k == 0) answer_too_big(d, train);
      release(slot, 1);
    }
}

void Engine::answer_too_big(Direction direction, const Train& train) {
  const auto reply = too_big_reply(train.bytes(), link_.pipe(direction).config().mtu_bytes);
  if (!reply) return;
  ++counters_[index(direction)].too_big_replies;
  (void)source(direction).write(VirtioHeader{}, *reply, {});
}

Engine::More Engine::deliver(Time until) {
  More more = More::kNo;
  for (const Direction direction : kBothWays) {
    Run run;
    std::size_t taken = 0;
    while (taken < kBatchPackets * 2) {
      const auto delivery = link_.pop(until, direction);
      if (!delivery) break;
      take(direction, *delivery, run);
      ++taken;
    }
    flush(direction, run);
    if (taken == kBatchPackets * 2) more = More::kYes;
  }
  settle_drops();
  return more;
}

void Engine::take(Direction direction, const Delivery& delivery, Run& run) {
  const std::uint32_t slot = TrainTable::slot_of(delivery.cookie);
  const std::uint32_t k = TrainTable::segment_of(delivery.cookie);
  const bool extends = run.count > 0 && run.slot == slot && run.first + run.count == k &&
                       run.ce == delivery.ce_mark && !delivery.duplicate && !delivery.corrupt;
  if (!extends) flush(direction, run);
  const Train& train = trains_.at(slot);
  const Time at = now();
  lateness_[index(direction)].add(at - delivery.at);
  see({at, direction, Sighting::kLeft, train, k, delivery.ce_mark, {}});
  if (delivery.corrupt) {
    write_corrupt(direction, train, k, delivery.ce_mark);
    if (!delivery.duplicate) release(slot, 1);
    return;
  }
  if (delivery.duplicate) {
    const Cut cut = train.cut(k, 1, delivery.ce_mark);
    const Bytes payload = train.payload(k, 1);
    const auto written =
        target(direction).write(cut.offload, Bytes(cut.header.data(), cut.header_bytes), payload);
    count_out(direction, written, 1, cut.header_bytes + payload.size());
    return;
  }
  if (extends)
    ++run.count;
  else
    run = {slot, k, 1, delivery.ce_mark};
  const bool alone = train.layout().transport == kUdp && !target(direction).takes_udp_trains();
  if (alone) flush(direction, run);
}

void Engine::flush(Direction direction, Run& run) {
  if (run.count == 0) return;
  const Train& train = trains_.at(run.slot);
  const Cut cut = train.cut(run.first, run.count, run.ce);
  const Bytes payload = train.payload(run.first, run.count);
  const auto written =
      target(direction).write(cut.offload, Bytes(cut.header.data(), cut.header_bytes), payload);
  count_out(direction, written, run.count,
            std::uint64_t{cut.header_bytes} * run.count + payload.size());
  release(run.slot, run.count);
  run = {};
}

void Engine::write_corrupt(Direction direction, const Train& train, std::uint32_t segment,
                           bool ce) {
  longhaul::ByteVector packet(train.segment_bytes(segment));
  train.write_segment(segment, ce, packet);
  const Layout& layout = train.layout();
  const bool mended = link_.pipe(direction).config().corrupt.after_checksum;
  // What is mended must hit data: a changed port or flag with a right checksum is no line noise.
  const std::size_t begin = mended ? layout.header_bytes : layout.network_bytes;
  if (packet.size() > begin) {
    const std::uint64_t bit = corrupt_rng_.below((packet.size() - begin) * 8);
    packet[begin + bit / 8] ^= std::byte{1} << (bit % 8);
    if (mended) fill_transport_checksum(packet, layout, /*keep_absent=*/true);
  }
  count_out(direction, target(direction).write(VirtioHeader{}, packet, {}), 1, packet.size());
}

void Engine::count_out(Direction direction, Port::Written written, std::uint32_t segments,
                       std::uint64_t bytes) {
  EngineCounters& counters = counters_[index(direction)];
  if (written == Port::Written::kNo) {
    counters.not_written += segments;
    return;
  }
  ++counters.trains_out;
  counters.segments_out += segments;
  counters.bytes_out += bytes;
}

void Engine::release(std::uint32_t slot, std::uint32_t segments) {
  trains_.release(slot, segments);
}

}  // namespace netsim::emulator
