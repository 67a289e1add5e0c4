#include "lib/run/run_log.hpp"

#include <algorithm>

#include "lib/run/crc32c.hpp"

namespace longhaul::run {
namespace {

// Head of a frame: magic u32, length of the body u32, number of its first record u64, CRC-32C u32
// over the twelve bytes between and the body.
constexpr std::uint32_t kMagic = 0x8D52'684CU;  // "LhR" and a byte that no text has
constexpr std::size_t kCheckAt = 16;

std::uint64_t zigzag(std::uint64_t from, std::uint64_t to) {
  const std::uint64_t delta = to - from;
  return (delta << 1) ^ ((delta >> 63) != 0 ? ~std::uint64_t{0} : 0);
}
std::uint64_t unzigzag(std::uint64_t from, std::uint64_t bits) {
  return from + ((bits >> 1) ^ ((bits & 1) != 0 ? ~std::uint64_t{0} : 0));
}

// A row: series and whether the value is a float, step and time against the row before, value.
void put_points(wire::Writer& w, const Points& points) {
  w.varint(points.taken.size());
  for (const Taken& taken : points.taken) wire::Codec<Taken>::put(w, taken);
  w.varint(points.kept.size());
  for (const TakenKept& kept : points.kept) wire::Codec<TakenKept>::put(w, kept);
  w.varint(points.points.size());
  std::uint64_t step = 0, at = 0;
  for (const Point& point : points.points) {
    const bool narrow = fits_float(point.value);
    w.varint((std::uint64_t{point.series.value()} << 1) | (narrow ? 1 : 0));
    w.varint(zigzag(step, point.step));
    w.varint(zigzag(at, static_cast<std::uint64_t>(point.at.ns)));
    step = point.step;
    at = static_cast<std::uint64_t>(point.at.ns);
    if (narrow)
      w.fixed(std::bit_cast<std::uint32_t>(static_cast<float>(point.value)));
    else
      w.fixed(std::bit_cast<std::uint64_t>(point.value));
  }
}

template <class T>
void get_list(wire::Reader& r, std::size_t most, std::vector<T>& out) {
  const std::size_t count = r.count(most, 1);
  for (std::size_t i = 0; i < count && !r.failed(); ++i) wire::Codec<T>::get(r, out.emplace_back());
}

void get_points(wire::Reader& r, Points& points) {
  get_list(r, kRingsMax, points.taken);
  get_list(r, kLogPointsMax, points.kept);
  const std::size_t count = r.count(kLogPointsMax, 7);
  points.points.reserve(count);
  std::uint64_t step = 0, at = 0;
  for (std::size_t i = 0; i < count && !r.failed(); ++i) {
    const std::uint64_t head = r.varint((std::uint64_t{kSeriesMax} << 1) - 1);
    step = unzigzag(step, r.varint());
    at = unzigzag(at, r.varint());
    const double value = (head & 1) != 0
                             ? static_cast<double>(std::bit_cast<float>(r.fixed<std::uint32_t>()))
                             : std::bit_cast<double>(r.fixed<std::uint64_t>());
    points.points.push_back({SeriesId(static_cast<std::uint32_t>(head >> 1)), step,
                             WallTime{static_cast<std::int64_t>(at)}, value});
  }
}

// A record's tag is its place in LogRecord, from 1.
template <std::size_t I = 0>
void put_any(wire::Writer& w, const LogRecord& record) {
  if constexpr (I < std::variant_size_v<LogRecord>) {
    if (record.index() != I) return put_any<I + 1>(w, record);
    using T = std::variant_alternative_t<I, LogRecord>;
    w.byte(static_cast<std::uint8_t>(I + 1));
    if constexpr (std::is_same_v<T, Points>)
      put_points(w, std::get<I>(record));
    else
      wire::Codec<T>::put(w, std::get<I>(record));
  }
}

template <std::size_t I = 0>
void get_any(wire::Reader& r, std::uint8_t tag, LogRecord& record) {
  if constexpr (I < std::variant_size_v<LogRecord>) {
    if (tag != I + 1) return get_any<I + 1>(r, tag, record);
    using T = std::variant_alternative_t<I, LogRecord>;
    T& held = record.emplace<I>();
    if constexpr (std::is_same_v<T, Points>)
      get_points(r, held);
    else
      wire::Codec<T>::get(r, held);
  } else {
    r.fail(wire::Fault::kUnknownValue);
  }
}

std::uint64_t numbers_of(const LogRecord& record) {
  const Points* points = std::get_if<Points>(&record);
  return points == nullptr ? 1 : points->points.size();
}

std::uint32_t check_of(Bytes length_and_number, Bytes body) {
  return crc32c(body, crc32c(length_and_number));
}

}  // namespace

ByteVector LogEncoder::frame(const LogRecord& record) {
  wire::Writer counter;
  put_any(counter, record);
  ASSERT(counter.size() <= kLogBodyMax);
  ByteVector frame(kLogHeadBytes + counter.size());
  const MutableBytes out(frame);
  store_le(out, kMagic);
  store_le(out.subspan(4), static_cast<std::uint32_t>(counter.size()));
  store_le(out.subspan(8), next_);
  wire::Writer writer(out.subspan(kLogHeadBytes));
  put_any(writer, record);
  store_le(out.subspan(kCheckAt), check_of(out.subspan(4, 12), out.subspan(kLogHeadBytes)));
  next_ += numbers_of(record);
  return frame;
}

void LogDecoder::feed(Bytes more) {
  if (at_ > (1U << 16) && at_ * 2 > bytes_.size()) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
    base_ += at_;
    at_ = 0;
  }
  append(bytes_, more);
}

// Goes to the next place that could begin a frame, at or behind `from`.
void LogDecoder::skip_to_magic(std::size_t from) {
  std::array<std::byte, 4> magic{};
  store_le(MutableBytes(magic), kMagic);
  const auto found = std::search(bytes_.begin() + static_cast<std::ptrdiff_t>(from), bytes_.end(),
                                 magic.begin(), magic.end());
  // The last three bytes may be the front of a magic that is still to come.
  const auto stop = found != bytes_.end()
                        ? static_cast<std::size_t>(found - bytes_.begin())
                        : std::max(from, bytes_.size() - std::min<std::size_t>(3, bytes_.size()));
  damaged_ += stop - at_;
  at_ = stop;
}

std::optional<LogEntry> LogDecoder::next() {
  while (left() >= kLogHeadBytes) {
    const Bytes bytes = Bytes(bytes_).subspan(at_);
    const auto length = load_le<std::uint32_t>(bytes.subspan(4));
    if (load_le<std::uint32_t>(bytes) != kMagic || length > kLogBodyMax) {
      skip_to_magic(at_ + 1);
      continue;
    }
    if (left() - kLogHeadBytes < length) return std::nullopt;
    const Bytes body = bytes.subspan(kLogHeadBytes, length);
    wire::Reader reader(body);
    LogEntry entry{load_le<std::uint64_t>(bytes.subspan(8)), {}};
    if (load_le<std::uint32_t>(bytes.subspan(kCheckAt)) != check_of(bytes.subspan(4, 12), body) ||
        (get_any(reader, reader.byte(), entry.record), !reader.finish("run log"))) {
      skip_to_magic(at_ + 1);
      continue;
    }
    at_ += kLogHeadBytes + length;
    whole_ = base_ + at_;
    next_ = entry.number + numbers_of(entry.record);
    return entry;
  }
  return std::nullopt;
}

}  // namespace longhaul::run
