#include "netsim/emulator/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "netsim/emulator/too_big.hpp"

namespace netsim::emulator {
namespace {

// A turn of reading or writing ends after this much, so that the other hosts and the deadlines get
// theirs: 64 KiB trains take about 10 us each to read and 25 us to write, small packets 2 us.
constexpr std::size_t kBatchPackets = 64;
constexpr std::size_t kBatchBytes = 256 << 10;
constexpr std::uint64_t kHopsMax = 64;
constexpr std::size_t kDeliverMost = 4 * kBatchPackets;
// Below this a read is copied to a block of its size; above, the block that was read into is cut.
constexpr std::size_t kCopyMax = 4096;

// The first link's stream has had this name since there was one link.
longhaul::Rng rng_of(std::uint64_t seed, std::size_t link) {
  return longhaul::Rng(seed, link == 0 ? "link" : fmt::format("link{}", link));
}

}  // namespace

Engine::Engine(const Topology& topology, std::uint64_t seed, std::vector<Port*> ports, Time start)
    : topology_(topology),
      hops_(next_hops(topology)),
      ports_(std::move(ports)),
      corrupt_rng_(seed, "corrupted bit"),
      counters_(ports_.size()),
      backlog_since_(ports_.size()),
      smallest_rtt_(Duration::max()) {
  lines_.reserve(topology.links.size());
  for (std::size_t i = 0; i < topology.links.size(); ++i) {
    const TopologyLink& link = topology.links[i];
    lines_.push_back(Line{Link(link.config, rng_of(seed, i), start), link.a, link.b,
                          Translator(static_cast<AddressId>(link.a))});
  }
  note_rtt();
}

void Engine::note_rtt() {
  for (const Line& line : lines_) {
    const LinkConfig& config = line.link.config();
    smallest_rtt_ = std::min(smallest_rtt_, config.up.delay.base + config.down.delay.base);
  }
}

std::optional<Time> Engine::next_deadline() const {
  std::optional<Time> next;
  for (const Line& line : lines_)
    if (const auto due = line.link.next_deadline()) next = next ? std::min(*next, *due) : *due;
  return next;
}

// ---- From a host into its link ----

Result<Engine::More> Engine::receive(std::size_t host) {
  std::size_t bytes = 0;
  HostCounters& counters = counters_[host];
  auto& backlog_since = backlog_since_[host];
  for (std::size_t i = 0; i < kBatchPackets && bytes < kBatchBytes; ++i) {
    if (!spare_) spare_ = Buffer(kFrameHeader + kPacketMax);
    const auto got = TRY(ports_[host]->read({spare_.data(), kFrameHeader + kPacketMax}));
    const Time at = now();
    if (!got) {
      if (backlog_since)
        counters.longest_backlog = std::max(counters.longest_backlog, at - *backlog_since);
      backlog_since.reset();
      return More::kNo;
    }
    if (!backlog_since) backlog_since = at;
    bytes += *got;
    Buffer kept;
    if (*got <= kCopyMax) {
      kept = Buffer(kFrameHeader + *got);
      std::memcpy(kept.data(), spare_.data(), kFrameHeader + *got);
    } else {
      kept = std::move(spare_);
      kept.cut(kFrameHeader + *got);
    }
    auto train = Train::of(std::move(kept), *got);
    if (!train)
      ++counters.not_ip;
    else if (is_link_local_multicast(train->bytes()))
      ++counters.link_local;
    else
      admit(at, host, *std::move(train));
  }
  return More::kYes;
}

// With one link, whatever one side sends is for the other: its user may have given it addresses of
// his own.
std::optional<std::size_t> Engine::receiver_of(const Train& train, std::size_t from) const {
  if (ports_.size() == 2) return 1 - from;
  const auto id = address_in(train.bytes(), train.layout().v6, End::kDestination);
  if (!id) return std::nullopt;
  std::size_t host = host_of(*id);
  if (is_alias(*id)) {
    if (*id - kFirstAlias >= alias_owner_.size()) return std::nullopt;
    host = alias_owner_[*id - kFirstAlias];
  }
  if (host >= ports_.size() || host == from || !hops_[from][host]) return std::nullopt;
  return host;
}

void Engine::admit(Time at, std::size_t from, Train train) {
  ++counters_[from].trains_in;
  const auto to = receiver_of(train, from);
  if (!to) {
    ++counters_[from].unroutable;
    return;
  }
  const std::size_t index = *hops_[from][*to];
  Line& line = lines_[index];
  line.link.advance(at);
  settle(line);  // a rebinding that was due comes first
  if (line.a == from)
    line.nat.outward(train.packet(), train.layout(),
                     train.has_partial_checksum() ? Checksum::kPartial : Checksum::kWhole);
  const std::uint32_t segments = train.segments();
  const std::uint32_t slot = trains_.put(std::move(train), static_cast<std::uint32_t>(from),
                                         static_cast<std::uint32_t>(*to));
  admitting_ = slot;
  refused_.assign(segments, false);
  // Kept whole until all segments are in: drops are settled only afterwards.
  for (std::uint32_t k = 0; k < segments; ++k) {
    see({at, from, Sighting::kEntered, trains_.at(slot), k, false, {}});
    push(at, index, from, TrainTable::cookie(slot, k));
  }
  settle(line);
  admitting_.reset();
  // A full queue refuses the tail of a train: its bytes must not wait for those before it.
  std::uint32_t kept = segments;
  while (kept > 0 && refused_[kept - 1]) --kept;
  if (kept > 0) trains_.keep_first(slot, kept);
}

void Engine::push(Time at, std::size_t index, std::size_t here, std::uint64_t cookie) {
  Line& line = lines_[index];
  const Train& train = trains_.at(TrainTable::slot_of(cookie));
  const Direction direction = line.a == here ? Direction::kUp : Direction::kDown;
  const Ecn ecn = (cookie & TrainTable::kMarked) != 0 ? Ecn::kCe : train.ecn();
  line.link.push(at, direction, {cookie, train.segment_bytes(TrainTable::segment_of(cookie)), ecn});
}

// Rebindings and drops.
void Engine::settle(Line& line) {
  while (const auto rebound = line.link.pop_rebind()) {
    std::optional<AddressId> alias;
    if (rebound->address_too && alias_owner_.size() < kAliasesMax) {
      alias = kFirstAlias + static_cast<AddressId>(alias_owner_.size());
      alias_owner_.push_back(line.a);
    }
    line.nat.rebind(alias);
  }
  for (const Direction d : kBothWays)
    while (const auto drop = line.link.pop_drop(d)) {
      const std::uint32_t slot = TrainTable::slot_of(drop->cookie);
      const std::uint32_t k = TrainTable::segment_of(drop->cookie);
      const Train& train = trains_.at(slot);
      const std::size_t from = trains_.from(slot);
      see({now(), from, Sighting::kDropped, train, k, false, name_of(drop->why)});
      if (drop->why == DropReason::kTooBig && k == 0) answer_too_big(from, line, d, train);
      if (admitting_ == slot) refused_[k] = true;
      trains_.release(slot, 1);
    }
}

void Engine::answer_too_big(std::size_t host, const Line& line, Direction direction,
                            const Train& train) {
  const Bytes whole = train.bytes();
  longhaul::ByteVector packet(whole.begin(), whole.end());
  if (line.a == host) line.nat.undo(packet, train.layout());
  const auto reply = too_big_reply(packet, line.link.pipe(direction).config().mtu_bytes);
  if (!reply) return;
  ++counters_[host].too_big_replies;
  (void)ports_[host]->write(VirtioHeader{}, *reply, {});
}

// ---- Out of a link, into the next one or a host ----

// Links take turns in the order of their deadlines, each up to the next one's, so that what hops
// enters its next link in order.
Engine::More Engine::deliver(Time until) {
  std::size_t left = kDeliverMost;
  while (left > 0) {
    std::optional<std::size_t> first;
    Time due{}, bound = until;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const auto next = lines_[i].link.next_deadline();
      if (!next || *next > until) continue;
      if (first && *next >= due) {
        bound = std::min(bound, *next);
        continue;
      }
      if (first) bound = std::min(bound, due);
      first = i;
      due = *next;
    }
    if (!first) break;
    left -= std::max<std::size_t>(1, deliver_line(*first, bound, left));
  }
  flush();
  return left == 0 ? More::kYes : More::kNo;
}

std::size_t Engine::deliver_line(std::size_t index, Time until, std::size_t most) {
  Line& line = lines_[index];
  line.link.advance(until);
  settle(line);
  std::size_t taken = 0;
  for (const Direction direction : kBothWays)
    while (taken < most) {
      const auto delivery = line.link.pop(until, direction);
      if (!delivery) break;
      std::uint64_t cookie = delivery->cookie;
      if (delivery->ce_mark) cookie |= TrainTable::kMarked;
      if (delivery->corrupt)
        cookie |= line.link.config()[direction].corrupt.after_checksum ? TrainTable::kMended
                                                                       : TrainTable::kCorrupt;
      take(line, direction, *delivery, cookie);
      ++taken;
    }
  settle(line);
  return taken;
}

void Engine::take(const Line& line, Direction direction, const Delivery& delivery,
                  std::uint64_t cookie) {
  const std::size_t here = direction == Direction::kUp ? line.b : line.a;
  const std::size_t to = trains_.to(TrainTable::slot_of(cookie));
  if (here != to) return hop(here, delivery, cookie);
  const bool translated = direction == Direction::kDown && line.nat.is_active();
  hand_over(delivery, cookie, translated ? &line.nat : nullptr);
}

void Engine::hop(std::size_t here, const Delivery& delivery, std::uint64_t cookie) {
  const std::uint32_t slot = TrainTable::slot_of(cookie);
  if (delivery.duplicate) trains_.retain(slot);
  const auto next = hops_[here][trains_.to(slot)];
  if (!next || TrainTable::hops_of(cookie) == kHopsMax) {  // routes by hand may run in a circle
    ++counters_[trains_.from(slot)].unroutable;
    return trains_.release(slot, 1);
  }
  push(delivery.at, *next, here, cookie + TrainTable::kHop);
  settle(lines_[*next]);
}

void Engine::hand_over(const Delivery& delivery, std::uint64_t cookie, const Translator* nat) {
  const std::uint32_t slot = TrainTable::slot_of(cookie);
  const std::uint32_t k = TrainTable::segment_of(cookie);
  const std::uint64_t marks = cookie & TrainTable::kMarks;
  const bool ce = (marks & TrainTable::kMarked) != 0;
  const bool plain = !delivery.duplicate && (marks & ~TrainTable::kMarked) == 0 && nat == nullptr;
  const bool extends =
      plain && run_.count > 0 && run_.slot == slot && run_.first + run_.count == k && run_.ce == ce;
  if (!extends) flush();
  const Train& train = trains_.at(slot);
  const std::size_t host = trains_.to(slot);
  const Time at = now();
  lateness_.add(at - delivery.at);
  see({at, host, Sighting::kLeft, train, k, ce, {}});
  if (!plain) {
    if ((marks & ~TrainTable::kMarked) != 0 || (nat != nullptr && train.segments() == 1))
      write_altered(slot, k, marks, nat);
    else
      write_segments(slot, k, 1, ce, nat);
    if (!delivery.duplicate) trains_.release(slot, 1);
    return;
  }
  if (extends)
    ++run_.count;
  else
    run_ = {slot, k, 1, ce};
  const bool alone = train.layout().transport == kUdp && !ports_[host]->takes_udp_trains();
  if (alone) flush();
}

void Engine::flush() {
  if (run_.count == 0) return;
  write_segments(run_.slot, run_.first, run_.count, run_.ce, nullptr);
  trains_.release(run_.slot, run_.count);
  run_ = {};
}

void Engine::write_segments(std::uint32_t slot, std::uint32_t first, std::uint32_t count, bool ce,
                            const Translator* nat) {
  const Train& train = trains_.at(slot);
  const std::size_t host = trains_.to(slot);
  if (train.segments() == 1 && !ce) {
    const auto written = ports_[host]->write_framed(train.framed());
    return count_out(host, written, 1, train.bytes().size());
  }
  Cut cut = train.cut(first, count, ce);
  const MutableBytes header(cut.header.data(), cut.header_bytes);
  if (nat != nullptr &&
      nat->inward(header, train.layout(), Checksum::kPartial) == Translator::Fate::kLost) {
    counters_[host].unmapped += count;
    return;
  }
  const Bytes payload = train.payload(first, count);
  const auto written = ports_[host]->write(cut.offload, header, payload);
  count_out(host, written, count, std::uint64_t{cut.header_bytes} * count + payload.size());
}

// As a whole packet with its checksums complete: what is corrupted, and single packets whose
// address is changed.
void Engine::write_altered(std::uint32_t slot, std::uint32_t segment, std::uint64_t marks,
                           const Translator* nat) {
  const Train& train = trains_.at(slot);
  const std::size_t host = trains_.to(slot);
  const Layout& layout = train.layout();
  scratch_.resize(train.segment_bytes(segment));
  train.write_segment(segment, (marks & TrainTable::kMarked) != 0, scratch_);
  if (nat != nullptr &&
      nat->inward(scratch_, layout, Checksum::kWhole) == Translator::Fate::kLost) {
    ++counters_[host].unmapped;
    return;
  }
  if ((marks & (TrainTable::kCorrupt | TrainTable::kMended)) != 0) {
    const bool mended = (marks & TrainTable::kCorrupt) == 0;
    // What is mended must hit data: a changed port or flag with a right checksum is no line noise.
    const std::size_t begin = mended ? layout.header_bytes : layout.network_bytes;
    if (scratch_.size() > begin) {
      const std::uint64_t bit = corrupt_rng_.below((scratch_.size() - begin) * 8);
      scratch_[begin + bit / 8] ^= std::byte{1} << (bit % 8);
      if (mended) fill_transport_checksum(scratch_, layout, /*keep_absent=*/true);
    }
  }
  count_out(host, ports_[host]->write(VirtioHeader{}, scratch_, {}), 1, scratch_.size());
}

void Engine::count_out(std::size_t host, Port::Written written, std::uint32_t segments,
                       std::uint64_t bytes) {
  HostCounters& counters = counters_[host];
  if (written == Port::Written::kNo) {
    counters.not_written += segments;
    return;
  }
  ++counters.trains_out;
  counters.segments_out += segments;
  counters.bytes_out += bytes;
}

}  // namespace netsim::emulator
