#include "lib/run/shared_log.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace longhaul::run {
namespace {

constexpr std::string_view kMagic = "longhaul shared 1\n";
constexpr std::size_t kHeadBytes = SharedLog::kHeadBytes;

struct Head {
  char magic[32];
  std::uint32_t attempt;
  std::uint32_t rings;
  std::uint32_t ring_records;
  std::uint32_t zero;
  std::uint64_t process;
  std::atomic<std::uint32_t> series;
  std::atomic<std::uint32_t> claimed;
  std::atomic<std::uint64_t> unlogged;
  std::atomic<std::uint32_t> closed;
  std::uint32_t zero_too;
  std::int64_t began_ns;
  std::uint16_t folder_length;
  char folder[kSharedFolderMax];
};
static_assert(sizeof(Head) <= kHeadBytes);

struct SeriesEntry {
  std::uint8_t length;
  char name[kSeriesNameMax];
  std::uint64_t zero;
};
static_assert(sizeof(SeriesEntry) == 256);

Head* head_of(MutableBytes memory) {
  return reinterpret_cast<Head*>(memory.data());
}
SeriesEntry* series_of(MutableBytes memory) {
  return reinterpret_cast<SeriesEntry*>(memory.data() + kHeadBytes);
}
constexpr std::size_t kRingsAt = kHeadBytes + std::size_t{kSeriesMax} * sizeof(SeriesEntry);

}  // namespace

std::size_t SharedLog::bytes(const SharedLogOptions& options) {
  return kRingsAt + options.rings * ring_bytes(options.ring_records);
}

SharedLog SharedLog::create(MutableBytes memory, const SharedLogOptions& options) {
  ASSERT(options.rings > 0 && options.rings <= kRingsMax);
  ASSERT(memory.size() >= bytes(options));
  Head* head = head_of(memory);
  head->attempt = options.attempt;
  head->rings = options.rings;
  head->ring_records = options.ring_records;
  head->process = options.process;
  head->began_ns = options.began.ns;
  if (options.folder.size() <= kSharedFolderMax) {
    head->folder_length = static_cast<std::uint16_t>(options.folder.size());
    options.folder.copy(head->folder, options.folder.size());  // none: nothing, unlike memcpy
  }
  // Last, so that an opener that finds it finds the rest.
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(head->magic, kMagic.data(), kMagic.size());
  return SharedLog(memory, options.rings, options.ring_records);
}

Result<SharedLog> SharedLog::open(MutableBytes memory) {
  const auto refuse = [](const char* why) {
    return fail(Kind::kMalformed, "open a shared log", why);
  };
  if (memory.size() < kRingsAt) return refuse("it is too short");
  const Head* head = head_of(memory);
  if (std::memcmp(head->magic, kMagic.data(), kMagic.size()) != 0)
    return refuse("it does not begin like one");
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint32_t rings = head->rings, records = head->ring_records;
  if (rings == 0 || rings > kRingsMax || !std::has_single_bit(records) || records > kRingRecordsMax)
    return refuse("its sizes make no sense");
  if ((memory.size() - kRingsAt) / ring_bytes(records) < rings) return refuse("it is cut short");
  return SharedLog(memory, rings, records);
}

Result<SharedHead> SharedLog::read_head(Bytes bytes) {
  if (bytes.size() < kHeadBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return fail(Kind::kMalformed, "open a shared log", "it does not begin like one");
  const auto number = [&bytes](std::size_t at, auto value) {
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  SharedHead head;
  head.attempt = number(offsetof(Head, attempt), std::uint32_t{});
  head.process = number(offsetof(Head, process), std::uint64_t{});
  head.began.ns = number(offsetof(Head, began_ns), std::int64_t{});
  const std::size_t length = number(offsetof(Head, folder_length), std::uint16_t{});
  if (length <= kSharedFolderMax)
    head.folder = text_of(bytes.subspan(offsetof(Head, folder), length));
  return head;
}

std::uint32_t SharedLog::attempt() const {
  return head_of(memory_)->attempt;
}
std::uint64_t SharedLog::process() const {
  return head_of(memory_)->process;
}
WallTime SharedLog::began() const {
  return {head_of(memory_)->began_ns};
}

SeriesId SharedLog::add_series(std::string_view name) {
  const std::uint32_t id = series_count();
  if (name.empty() || name.size() > kSeriesNameMax || id >= kSeriesMax) return kNoSeries;
  SeriesEntry& entry = series_of(memory_)[id];
  std::memcpy(entry.name, name.data(), name.size());
  entry.length = static_cast<std::uint8_t>(name.size());
  head_of(memory_)->series.store(id + 1, std::memory_order_release);
  return SeriesId(id);
}

std::uint32_t SharedLog::series_count() const {
  return std::min(kSeriesMax, head_of(memory_)->series.load(std::memory_order_acquire));
}

std::string SharedLog::series_name(SeriesId id) const {
  if (id.value() >= series_count()) return {};
  const SeriesEntry& entry = series_of(memory_)[id.value()];
  return {entry.name, std::min<std::size_t>(entry.length, kSeriesNameMax)};
}

MutableBytes SharedLog::ring_memory(std::uint32_t index) const {
  ASSERT(index < rings_);
  const std::size_t size = ring_bytes(ring_records_);
  return memory_.subspan(kRingsAt + index * size, size);
}

std::optional<RingProducer> SharedLog::claim_ring() {
  auto& claimed = head_of(memory_)->claimed;
  std::uint32_t next = claimed.load(std::memory_order_relaxed);
  do {
    if (next >= rings_) return std::nullopt;
  } while (!claimed.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel));
  return RingProducer(ring_memory(next), ring_records_);
}

std::uint32_t SharedLog::rings_claimed() const {
  return std::min(rings_, head_of(memory_)->claimed.load(std::memory_order_acquire));
}

RingConsumer SharedLog::consumer(std::uint32_t index) {
  return RingConsumer(ring_memory(index), ring_records_);
}

void SharedLog::count_unlogged() noexcept {
  head_of(memory_)->unlogged.fetch_add(1, std::memory_order_relaxed);
}
std::uint64_t SharedLog::dropped() const {
  std::uint64_t sum = head_of(memory_)->unlogged.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < rings_claimed(); ++i) {
    const auto* head = reinterpret_cast<const layout::RingHead*>(ring_memory(i).data());
    sum += head->producer.dropped.load(std::memory_order_relaxed);
  }
  return sum;
}
void SharedLog::close() noexcept {
  head_of(memory_)->closed.store(1, std::memory_order_release);
}
bool SharedLog::closed() const {
  return head_of(memory_)->closed.load(std::memory_order_acquire) != 0;
}

}  // namespace longhaul::run
