#include "lib/feed/tail.hpp"

#include <algorithm>

#include "lib/feed/run_files.hpp"

namespace longhaul::feed {
namespace {

constexpr std::size_t kEndBytes = 256U << 10;  // of a log that is opened in the middle
// As much as holds a whole frame wherever one begins, for ends in which no frame begins.
constexpr std::size_t kLongEndBytes = 2 * (run::kLogHeadBytes + run::kLogBodyMax);
constexpr std::size_t kBeginBytes = 64U
                                    << 10;  // holds a start, but for one with a huge configuration
constexpr std::size_t kBehindMost = 4U << 20;  // more than this is jumped over
static_assert(kLongEndBytes < kBehindMost);
constexpr std::size_t kEntriesMax = 16'384;   // between two reads; more stand in the history only
constexpr std::uint64_t kReadsPerRound = 50;  // then the other attempts' logs are looked at, too
constexpr std::uint32_t kOlderAttempts = 64;  // of them, so many

}  // namespace

Result<> Tail::read() {
  Result<> done = read_all();
  if (done && replaced_)
    done = fail(Kind::kChanged, "watch the run", "another was begun under its name");
  for (const std::uint32_t group : std::exchange(groups_, {})) {
    Group& values = fresh_[group];
    values.clear();
    const std::uint32_t first = group * static_cast<std::uint32_t>(wire::kLiveGroupMax);
    const auto end = values_.lower_bound(first + wire::kLiveGroupMax);
    for (auto at = values_.lower_bound(first); at != end; ++at) values.push_back(at->second);
  }
  return done;
}

// When the attempt began that somebody has the beginning of.
void Tail::read_beginning() {
  const auto file = files_.open(log_name(folder_, first_), store::Access::kRead);
  if (!file) return;
  const auto bytes = read_part(**file, 0, kLongEndBytes);
  if (!bytes) return;
  run::LogDecoder decoder;
  decoder.feed(*bytes);
  while (auto entry = decoder.next()) {
    const auto* start = std::get_if<run::Start>(&entry->record);
    if (start == nullptr) continue;
    began_ = start->at;
    return;
  }
}

Result<std::unique_ptr<store::File>> Tail::open_log() {
  auto opened = files_.open(log_name(folder_, attempt_), store::Access::kRead);
  if (!opened && opened.error().kind() == Kind::kNotFound && newest_attempt(files_, folder_, 0) > 0)
    return fail(Kind::kChanged, "watch the run", "another was begun under its name");
  return opened;
}

Result<> Tail::see_the_same(store::File& file) const {
  if (!start_) return {};
  run::LogDecoder decoder;
  decoder.feed(TRY(read_part(file, 0, kBeginBytes)));
  const auto entry = decoder.next();
  const auto* start = entry ? std::get_if<run::Start>(&entry->record) : nullptr;
  if (start == nullptr || start->at == *start_) return {};
  return fail(Kind::kChanged, "watch the run", "another was begun under its name");
}

Result<> Tail::read_all() {
  grew_ = false;
  sizes_.clear();
  const std::uint32_t newest = newest_attempt(files_, folder_, attempt_);
  if (newest == 0) return fail(Kind::kNotFound, "open a run", "there is no such run");
  if (newest != attempt_) {
    if (attempt_ > 0) TRY(see_the_same(*TRY(open_log())));  // or it is of another run
    TRY(open_newest(newest));
  }
  if (first_ > 0 && reads_ == 0) read_beginning();
  const bool round = reads_++ % kReadsPerRound == 0;
  if (round) {
    const std::uint32_t from = attempt_ > kOlderAttempts ? attempt_ - kOlderAttempts : 1;
    for (std::uint32_t older = from; older < attempt_; ++older) {
      if (const auto stat = files_.stat(log_name(folder_, older)))
        sizes_.emplace_back(older, stat->size);
    }
  }
  // Opened anew each time: that is when a network file system looks for what others wrote.
  const auto file = TRY(open_log());
  const store::FileStat stat = TRY(file->stat());
  wrote_ = stat.mtime;
  sizes_.emplace_back(attempt_, stat.size);
  if (round || stat.size < offset_ + read_) TRY(see_the_same(*file));
  const bool jumps = stat.size > offset_ + read_ + kBehindMost;
  if (jumps) TRY(jump(*file, stat.size));
  if (stat.size < offset_ + read_) {  // a torn end was cut off
    go_to(std::min(offset(), stat.size));
  }
  TRY(read_on(*file, stat.size));
  if (!jumps || decoder_->whole_bytes() > 0) return {};
  // The end lies within one frame: who ended there has its newest values, and their number, in it.
  go_to(stat.size - kLongEndBytes);
  return read_on(*file, stat.size);
}

Result<> Tail::read_on(store::File& file, std::uint64_t size) {
  while (offset_ + read_ < size) {
    const ByteVector more = TRY(read_part(file, offset_ + read_, kEndBytes));
    if (more.empty()) break;
    read_ += more.size();
    decoder_->feed(more);
    while (auto entry = decoder_->next()) take(*entry);
  }
  return {};
}

void Tail::go_to(std::uint64_t offset) {
  offset_ = offset;
  read_ = 0;
  decoder_.emplace();
}

Result<> Tail::open_newest(std::uint32_t attempt) {
  attempt_ = attempt;
  offset_ = read_ = 0;
  recorded_ = 0;
  start_.reset();
  decoder_.emplace();
  values_.clear();
  groups_.clear();
  fresh_.clear();
  grew_ = true;
  return {};
}

// On to the end. From the very beginning, the names that stand there are taken along.
Result<> Tail::jump(store::File& file, std::uint64_t size) {
  if (offset_ + read_ == 0) {
    run::LogDecoder beginning;
    beginning.feed(TRY(read_part(file, 0, kEndBytes)));
    while (auto entry = beginning.next()) {
      if (!std::holds_alternative<run::Points>(entry->record)) take(*entry);
    }
  }
  go_to(size - kEndBytes);
  return {};
}

void Tail::take(run::LogEntry& entry) {
  grew_ = true;
  if (const auto* start = std::get_if<run::Start>(&entry.record)) {
    replaced_ = replaced_ || (start_ && *start_ != start->at);
    start_ = start->at;
  }
  const auto* points = std::get_if<run::Points>(&entry.record);
  recorded_ = std::max(recorded_, entry.number + (points != nullptr ? points->points.size() : 1));
  if (points == nullptr) {
    if (entries_.size() < kEntriesMax) entries_.push_back(std::move(entry));
    return;
  }
  for (const run::Point& point : points->points) {
    const std::uint32_t group = point.series.value() / wire::kLiveGroupMax;
    if (group >= wire::kLiveGroupsMax) continue;
    values_[point.series.value()] = {point.series.value(), point.step, point.at, point.value};
    groups_.insert(group);
  }
}

}  // namespace longhaul::feed
