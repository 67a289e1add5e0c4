#include "lib/feed/history.hpp"

#include "lib/feed/run_files.hpp"
#include "lib/run/segment.hpp"

namespace longhaul::feed {
namespace {

constexpr std::size_t kFrameMost = run::kLogHeadBytes + run::kLogBodyMax;
// Holds a whole frame wherever one begins in its first half.
constexpr std::size_t kReadBytes = 2 * kFrameMost;

static_assert(kHistoryPoints + run::kLogPointsMax <= run::kSegmentPointsMax);
static_assert(wire::kHistorySegmentMax >= run::kSegmentBytesMax);

}  // namespace

HistoryWork::HistoryWork(store::Files& files, store::TreeName folder, wire::LogPlace place,
                         Trust trust)
    : after(place), files_(files), folder_(std::move(folder)), place_(place), trust_(trust) {}

void HistoryWork::run() {
  if (auto done = read(); !done) error = done.error();
}

// Whether the record place_.next, or a later one, begins at place_.offset; if not, from the start.
Result<> HistoryWork::seek(store::File& file) {
  if (place_.offset > 0) {
    run::LogDecoder decoder;
    decoder.feed(TRY(read_part(file, place_.offset, kReadBytes)));
    const auto entry = decoder.next();
    if (!entry || entry->number == place_.next) return {};  // nothing there yet, or right
  }
  place_.offset = 0;
  for (;;) {
    run::LogDecoder decoder;
    const ByteVector bytes = TRY(read_part(file, place_.offset, kReadBytes));
    decoder.feed(bytes);
    std::uint64_t whole = 0;
    while (auto entry = decoder.next()) {
      if (entry->number >= place_.next) {
        place_.offset += whole;
        return {};
      }
      whole = decoder.whole_bytes();
    }
    if (bytes.size() < kReadBytes) {
      place_.offset += whole;
      return {};
    }
    place_.offset += whole > 0 ? whole : kFrameMost;
  }
}

// False: the message is full, and this entry is for the next one.
bool HistoryWork::add(run::LogEntry& entry) {
  const bool rot = entry.number != next_;
  if (any_ && (rot || points_.size() >= kHistoryPoints)) return false;
  if (auto* points = std::get_if<run::Points>(&entry.record)) {
    points_.insert(points_.end(), points->points.begin(), points->points.end());
    if (!any_) first_ = entry.number;
    next_ = entry.number + points->points.size();
  } else {
    run::LogEncoder encoder(entry.number);
    const ByteVector frame = encoder.frame(entry.record);
    if (any_ && frames_.size() + frame.size() > wire::kHistoryFramesMax) return false;
    append(frames_, frame);
    if (!any_) first_ = entry.number;
    next_ = encoder.next();
  }
  any_ = true;
  return true;
}

Result<> HistoryWork::read() {
  const auto file = TRY(files_.open(log_name(folder_, place_.attempt), store::Access::kRead));
  if (trust_ == Trust::kPeers) TRY(seek(*file));
  next_ = place_.next;
  const ByteVector bytes = TRY(read_part(*file, place_.offset, kReadBytes));
  run::LogDecoder decoder;
  decoder.feed(bytes);
  std::uint64_t whole = 0;
  while (auto entry = decoder.next()) {
    if (entry->number < place_.next) {  // had already: a hint that fell short
      whole = decoder.whole_bytes();
      continue;
    }
    if (!add(*entry)) break;
    whole = decoder.whole_bytes();
  }
  after = place_;
  after.offset = place_.offset + whole;
  if (any_) after.next = next_;
  // Not one frame in so many bytes: rot. The next one begins behind what could hold a whole one.
  if (bytes.size() == kReadBytes && whole == 0) after.offset = place_.offset + kFrameMost;
  if (any_ && next_ > place_.next) finish();
  return {};
}

void HistoryWork::finish() {
  wire::History out;
  out.attempt = place_.attempt;
  out.after = place_.next;
  out.first = first_;
  out.next = next_;
  out.offset = after.offset;
  out.frames = Slice::copy_of(frames_);
  if (!points_.empty()) out.segment = Slice::copy_of(run::encode_segment(points_));
  message = std::move(out);
}

Result<std::vector<run::LogEntry>> unpack_frames(Bytes frames) {
  std::vector<run::LogEntry> entries;
  run::LogDecoder decoder;
  decoder.feed(frames);
  while (auto entry = decoder.next()) {
    if (std::holds_alternative<run::Points>(entry->record)) break;
    entries.push_back(std::move(*entry));
  }
  if (decoder.damaged_bytes() > 0 || decoder.whole_bytes() != frames.size())
    return fail(Kind::kMalformed, "read a run's records", "they do not match their checks");
  return entries;
}

Result<Unpacked> unpack_history(const wire::History& message) {
  Unpacked out;
  out.entries = TRY(unpack_frames(message.frames.bytes()));
  if (!message.segment.empty()) out.points = TRY(run::decode_segment(message.segment.bytes()));
  const std::uint64_t records = out.entries.size() + out.points.size();
  if (message.first < message.after || message.next < message.first ||
      message.next - message.first != records)
    return fail(Kind::kMalformed, "read a run's history", "its numbers do not add up");
  return out;
}

}  // namespace longhaul::feed
