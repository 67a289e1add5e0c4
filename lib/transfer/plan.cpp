#include "lib/transfer/plan.hpp"

#include <algorithm>

namespace longhaul::transfer {

namespace {

constexpr std::uint64_t kRecordBytes = 24;  // of a manifest record beside its name
constexpr std::uint64_t kChunkBytes = 36;   // an id and a length
constexpr std::uint64_t kMeanChunk = 64U << 10;
constexpr std::uint64_t kEditBytes = 2 * kMeanChunk;  // an edit in one place touches two chunks

struct Planner {
  PushPlan plan;
  const BaseMatch match;
  IdSet seen;

  // It must be read, and most likely is as in the base: then it is not even named.
  void add_unread_same(const Row& row) {
    ++plan.unread_files;
    plan.unread_bytes += row.entry.size;
    plan.present_bytes += row.entry.size;
  }

  // Nobody has read it: what is expected of it. Its name in the base, or null.
  void add_unread(const Row& row, const store::Entry* before) {
    const std::uint64_t size = row.entry.size;
    ++plan.unread_files;
    plan.unread_bytes += size;
    std::uint64_t fresh = size;
    if (before != nullptr && before->type == store::EntryType::kFile) {
      const std::uint64_t grown = size > before->size ? size - before->size : 0;
      fresh = std::min(size, grown + kEditBytes);
    }
    plan.send_files += fresh > 0 ? 1 : 0;
    plan.send_bytes += fresh;
    plan.present_bytes += size - fresh;
    plan.manifest_bytes += kChunkBytes * (size / kMeanChunk + 1);
  }

  void add_file(const Row& row, const store::Entry* before) {
    if (!row.hashed) return add_unread(row, before);
    bool any = false;
    for (const store::Piece& piece : row.pieces) {
      if (piece.hole) continue;
      plan.manifest_bytes += kChunkBytes;
      if (match.believed_present(piece.chunk) || !seen.insert(piece.chunk)) {
        plan.present_bytes += piece.length;
      } else {
        plan.send_bytes += piece.length;
        any = true;
      }
    }
    plan.send_files += any ? 1 : 0;
  }
};

Duration shared_time(std::uint64_t bytes, BytesPerSecond one_core, unsigned cores) {
  if (one_core.value() == 0) return Duration::zero();
  return one_core.time_for(ByteCount(bytes)) / std::max(1U, cores);
}

}  // namespace

PushPlan plan_push(const Source& source, const SiteMemory& memory) {
  const auto& rows = source.rows;
  Planner planner{{}, memory.base ? BaseMatch(rows, *memory.base) : BaseMatch(), {}};
  PushPlan& plan = planner.plan;
  std::optional<store::TreeWalk> base;
  if (memory.base) base.emplace(*memory.base);
  bool base_left = base && base->next();
  std::size_t same_until = 0;
  bool differs = !memory.base;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = rows.at(i);
    if (row.is_file()) {
      ++plan.files;
      plan.bytes += row.entry.size;
    }
    if (i >= same_until) {
      if (const auto run = planner.match.run_at(i); run.rows > 0) same_until = i + run.rows;
    }
    if (i < same_until) {
      if (row.is_file()) plan.present_bytes += row.entry.size;
      continue;
    }
    differs = true;
    while (base_left && base->entry().name < row.entry.name) base_left = base->next();
    const bool known = base_left && base->entry().name == row.entry.name;
    if (row.is_file() && !row.hashed && known && base->entry() == row.entry) {
      planner.add_unread_same(row);
      continue;
    }
    plan.manifest_bytes += kRecordBytes + row.entry.name.last().size() + row.entry.target.size();
    if (row.is_file()) planner.add_file(row, known ? &base->entry() : nullptr);
  }
  plan.unchanged = !differs;
  return plan;
}

Duration sending_time(std::uint64_t bytes, const session::LinkMemory& link,
                      std::optional<BytesPerSecond> limit) {
  BytesPerSecond rate = link.rate;
  if (limit && limit->value() > 0) rate = std::min(rate, *limit);
  if (bytes == 0 || rate.value() == 0) return Duration::zero();
  const std::uint64_t full = rate.bytes_in(link.rtt_min).value();
  if (link.datagrams) {  // a round trip at half of what is remembered (docs/rate.md)
    const std::uint64_t slowly = std::min(bytes, full / 2);
    return rate.time_for(ByteCount(2 * slowly)) + rate.time_for(ByteCount(bytes - slowly));
  }
  std::uint64_t window = kFirstWindowBytes * std::max(1U, link.bulk_paths);
  Duration time{};
  while (window < full && bytes > window) {
    bytes -= window;
    time += link.rtt_min;
    window *= 2;
  }
  return time + rate.time_for(ByteCount(bytes));
}

Duration opening_time(const session::LinkMemory& link) {
  if (link.rate.value() == 0) return Duration::zero();
  const std::uint64_t all = 64 * link.rate.bytes_in(link.rtt_min).value();
  return sending_time(all, link, {}) - link.rate.time_for(ByteCount(all));
}

Prediction predict(const PushPlan& plan, const PlanRates& rates) {
  Prediction out;
  const std::uint64_t content = plan.send_bytes / 1000 * rates.wire_per_mille +
                                plan.send_bytes % 1000 * rates.wire_per_mille / 1000;
  out.wire_bytes = plan.unchanged ? 0 : content;
  out.manifest_bytes = plan.unchanged ? 0 : plan.manifest_bytes;
  out.reading = shared_time(plan.unread_bytes, rates.read, rates.cores);
  out.encoding = shared_time(plan.send_bytes, rates.encode, rates.cores);
  out.sending = sending_time(out.wire_bytes + out.manifest_bytes, rates.link, rates.limit);
  if (!plan.unchanged)
    out.publishing = rates.publish + rates.publish_per_file * static_cast<std::int64_t>(plan.files);
  // Reading and encoding share the cores; both overlap with the link.
  const Duration working = out.reading + out.encoding;
  const Duration moving = std::max(working, out.sending);
  if (out.publishing > moving)
    out.limit = Stage::kPeer;
  else if (out.sending >= working)
    out.limit = rates.limit && rates.limit->value() < rates.link.rate.value() ? Stage::kRateCap
                                                                              : Stage::kLink;
  else
    out.limit = out.reading > out.encoding ? Stage::kDisk : Stage::kCpu;
  if (rates.link.rate.value() == 0) return out;
  const int round_trips = 3 + (rates.unfinished && !plan.unchanged ? 1 : 0);
  out.time = rates.walk + round_trips * rates.link.rtt_min + moving + out.publishing;
  return out;
}

}  // namespace longhaul::transfer
