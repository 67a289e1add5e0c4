#include "lib/run/segment.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "compression/byte_planes.hpp"
#include "compression/zstd_codec.hpp"
#include "lib/run/decimal.hpp"
#include "lib/run/predictor.hpp"
#include "lib/wire/cursor.hpp"

namespace longhaul::run {
namespace {

// A segment: version u8, varint number of points, then the columns. A column: varint raw size,
// varint encoded size, bytes; equal sizes mean raw.
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kColumnMax = kSegmentPointsMax * 10;
constexpr int kLevel = 3;

class Column {  // bytes of one column while it is filled
 public:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }
  template <class Int>
  void fixed(Int value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    store_le(MutableBytes(bytes_).subspan(at), value);
  }
  ByteVector& bytes() { return bytes_; }

 private:
  ByteVector bytes_;
};

std::uint64_t zigzag(std::uint64_t delta) {
  return (delta << 1) ^ ((delta >> 63) != 0 ? ~std::uint64_t{0} : 0);
}
std::uint64_t unzigzag(std::uint64_t bits) {
  return (bits >> 1) ^ ((bits & 1) != 0 ? ~std::uint64_t{0} : 0);
}

// Times are whole microseconds whose nanoseconds fit: 292 years either way of 1970.
constexpr std::int64_t kMicrosMax = std::numeric_limits<std::int64_t>::max() / 1000;

std::int64_t micros(WallTime at) {  // rounded down, before 1970 too
  return std::max(at.ns / 1000 - (at.ns % 1000 < 0 ? 1 : 0), -kMicrosMax);
}

// The series of each point as its place in the list of series. Training loops log the same series
// in the same order at each step: after a series comes what came after it before, written as 0.
class Follower {
 public:
  explicit Follower(std::size_t series) : next_(series, 0) {}
  std::uint64_t code(std::uint32_t place) {
    const std::uint64_t code = next_[last_] == place ? 0 : std::uint64_t{place} + 1;
    learn(place);
    return code;
  }
  std::uint32_t place(std::uint64_t code) {
    const std::uint32_t place = code == 0 ? next_[last_] : static_cast<std::uint32_t>(code - 1);
    learn(place);
    return place;
  }

 private:
  void learn(std::uint32_t place) {
    next_[last_] = place;
    last_ = place;
  }
  std::vector<std::uint32_t> next_;
  std::uint32_t last_ = 0;
};

struct Columns {
  Column series;  // the list: ids, ascending, as differences
  Column order, steps, times, narrow;
  Column predictions;  // per series and width: how its values are foretold
  Column floats, doubles;
};

void put_column(ByteVector& out, Bytes raw, compression::ZstdEncoder& zstd, bool planes) {
  ByteVector packed(compression::zstd_bound(raw.size()));
  const auto size = planes ? zstd.encode_plane(raw, packed) : zstd.encode(raw, kLevel, packed);
  const bool shrunk = size.has_value() && *size < raw.size();
  Column head;
  head.varint(raw.size());
  head.varint(shrunk ? *size : raw.size());
  append(out, head.bytes());
  append(out, shrunk ? Bytes(packed).first(*size) : raw);
}

// Values of one width: planes of the elements, a column each, because exponents and mantissas have
// nothing in common but their length.
void put_planes(ByteVector& out, Bytes values, std::size_t width, compression::ZstdEncoder& zstd) {
  ByteVector planes(values.size());
  compression::split_planes(values, width, planes);
  const std::size_t each = values.size() / width;
  for (std::size_t i = 0; i < width; ++i)
    put_column(out, Bytes(planes).subspan(i * each, each), zstd, true);
}

class Unpacker {
 public:
  explicit Unpacker(wire::Reader& in) : in_(in) {}
  ByteVector column(std::size_t most) {
    const std::uint64_t raw = in_.varint(most);
    const std::uint64_t size = in_.varint(raw);
    const Bytes bytes = in_.raw(size);
    if (in_.failed()) return {};
    if (size == raw) return ByteVector(bytes.begin(), bytes.end());
    ByteVector out(raw);
    if (!zstd_.decode(bytes, out)) in_.fail(wire::Fault::kUnknownValue);
    return out;
  }
  ByteVector planes(std::size_t count, std::size_t width) {
    ByteVector split, values(count * width);
    for (std::size_t i = 0; i < width; ++i) {
      const ByteVector plane = column(count);
      if (plane.size() != count) in_.fail(wire::Fault::kTruncated);
      if (in_.failed()) return {};
      append(split, plane);
    }
    compression::merge_planes(split, width, values);
    return values;
  }

 private:
  wire::Reader& in_;
  compression::ZstdDecoder zstd_;
};

std::vector<SeriesId> series_in(const std::vector<Point>& points) {
  std::vector<SeriesId> series;
  for (const Point& point : points) series.push_back(point.series);
  std::sort(series.begin(), series.end());
  series.erase(std::unique(series.begin(), series.end()), series.end());
  return series;
}

// Places of the points, series by series, each in order: values of a series resemble each other.
// Series i has those at [begin[i], begin[i + 1]).
struct BySeries {
  std::vector<std::uint32_t> begin, places;
};
BySeries by_series(const std::vector<std::uint32_t>& series_of, std::size_t series) {
  BySeries out{std::vector<std::uint32_t>(series + 1, 0),
               std::vector<std::uint32_t>(series_of.size())};
  for (const std::uint32_t place : series_of) ++out.begin[place + 1];
  for (std::size_t i = 1; i <= series; ++i) out.begin[i] += out.begin[i - 1];
  std::vector<std::uint32_t> next(out.begin);
  for (std::uint32_t i = 0; i < series_of.size(); ++i) out.places[next[series_of[i]]++] = i;
  return out;
}

// How a series' values travel: under which prediction; of doubles also as what: bits, or whole
// numbers of a power of ten. One byte: prediction + kPredictions * (0: bits, else 1 + places).
constexpr std::uint8_t kFloatWays = kPredictions;
constexpr std::uint8_t kDoubleWays = kPredictions * (1 + kDecimalPlaces);

template <class Int>
struct Coded {
  std::vector<Int> codes;
  std::uint64_t bits = ~std::uint64_t{0};
  std::uint8_t way = 0;
};

// Replaces `best` if some prediction leaves fewer bits.
template <class Int>
void code_values(const std::vector<Int>& values, std::uint8_t first_way, Coded<Int>& best) {
  std::vector<Int> tried;
  for (std::uint8_t kind = 0; kind < kPredictions; ++kind) {
    Predictor<Int> predictor{Prediction{kind}};
    std::uint64_t bits = 0;
    tried.clear();
    for (const Int value : values) {
      tried.push_back(predictor.encode(value));
      bits += static_cast<std::uint64_t>(std::bit_width(tried.back()));
    }
    if (bits >= best.bits) continue;
    best.bits = bits;
    best.way = static_cast<std::uint8_t>(first_way + kind);
    best.codes.swap(tried);
  }
}

void put_floats(Columns& to, const std::vector<std::uint32_t>& floats) {
  Coded<std::uint32_t> coded;
  code_values(floats, 0, coded);
  to.predictions.fixed(coded.way);
  for (const std::uint32_t code : coded.codes) to.floats.fixed(code);
}

void put_doubles(Columns& to, const std::vector<std::uint64_t>& doubles) {
  Coded<std::uint64_t> coded;
  code_values(doubles, 0, coded);
  if (const auto places = doubles.empty() ? std::nullopt : decimal_places(doubles)) {
    std::vector<std::uint64_t> whole;
    for (const std::uint64_t bits : doubles)
      whole.push_back(*to_decimal(std::bit_cast<double>(bits), *places));
    code_values(whole, static_cast<std::uint8_t>(kPredictions * (1 + *places)), coded);
  }
  to.predictions.fixed(coded.way);
  for (const std::uint64_t code : coded.codes) to.doubles.fixed(code);
}

void fill(Columns& to, const std::vector<Point>& points, const std::vector<SeriesId>& series) {
  std::uint32_t before = 0;
  for (const SeriesId id : series) {
    to.series.varint(id.value() - before);
    before = id.value();
  }
  Follower follower(series.size());
  std::vector<std::uint32_t> places;
  std::uint64_t step = 0, time = 0;
  for (const Point& point : points) {
    const auto found = std::lower_bound(series.begin(), series.end(), point.series);
    places.push_back(static_cast<std::uint32_t>(found - series.begin()));
    to.order.varint(follower.code(places.back()));
    to.steps.varint(zigzag(point.step - step));
    step = point.step;
    const auto now = static_cast<std::uint64_t>(micros(point.at));
    to.times.varint(zigzag(now - time));
    time = now;
  }
  const BySeries sorted = by_series(places, series.size());
  std::vector<std::uint32_t> floats;
  std::vector<std::uint64_t> doubles;
  for (std::size_t k = 0; k < series.size(); ++k) {
    floats.clear();
    doubles.clear();
    for (std::uint32_t i = sorted.begin[k]; i < sorted.begin[k + 1]; ++i) {
      const double value = points[sorted.places[i]].value;
      const bool narrow = fits_float(value);
      to.narrow.fixed<std::uint8_t>(narrow ? 1 : 0);
      if (narrow)
        floats.push_back(std::bit_cast<std::uint32_t>(static_cast<float>(value)));
      else
        doubles.push_back(std::bit_cast<std::uint64_t>(value));
    }
    put_floats(to, floats);
    put_doubles(to, doubles);
  }
}

Result<std::vector<SeriesId>> read_series(const ByteVector& column) {
  wire::Reader in{Bytes(column)};
  std::vector<SeriesId> series;
  std::uint64_t id = 0;
  while (in.left() > 0 && !in.failed()) {
    const std::uint64_t more = in.varint(kSeriesMax);
    if ((more == 0 && !series.empty()) || (id += more) >= kSeriesMax)
      in.fail(wire::Fault::kNotSorted);
    series.push_back(SeriesId(static_cast<std::uint32_t>(id)));
  }
  TRY(in.finish("segment's series"));
  return series;
}

// Everything but the values; `places` gets each point's place in `series`.
Result<std::vector<Point>> read_rows(std::size_t count, const std::vector<SeriesId>& series,
                                     const std::array<ByteVector, 3>& columns,
                                     std::vector<std::uint32_t>& places) {
  wire::Reader order{Bytes(columns[0])}, steps{Bytes(columns[1])}, times{Bytes(columns[2])};
  Follower follower(std::max<std::size_t>(1, series.size()));
  std::vector<Point> points(count);
  std::uint64_t step = 0, time = 0;
  for (Point& point : points) {
    const std::uint32_t place = follower.place(order.varint(series.size()));
    if (place >= series.size()) return fail(Kind::kMalformed, "decode segment", "unknown series");
    places.push_back(place);
    point.series = series[place];
    point.step = step += unzigzag(steps.varint());
    time += unzigzag(times.varint());
    const auto now = static_cast<std::int64_t>(time);
    if (now > kMicrosMax || now < -kMicrosMax)
      return fail(Kind::kMalformed, "decode segment", "a time out of range");
    point.at.ns = now * 1000;
  }
  TRY(order.finish("segment's order"));
  TRY(steps.finish("segment's steps"));
  TRY(times.finish("segment's times"));
  return points;
}

// Sizes were checked: a narrow flag a point, two predictions a series, a code a value.
void read_values(std::vector<Point>& points, const BySeries& sorted, Bytes narrow,
                 Bytes predictions, Bytes floats, Bytes doubles) {
  for (std::size_t k = 0; k + 1 < sorted.begin.size(); ++k) {
    Predictor<std::uint32_t> of_floats{
        Prediction{std::to_integer<std::uint8_t>(predictions[2 * k])}};
    const auto way = std::to_integer<std::uint8_t>(predictions[2 * k + 1]);
    const auto form = static_cast<std::uint8_t>(way / kPredictions);
    Predictor<std::uint64_t> of_doubles{Prediction{static_cast<std::uint8_t>(way % kPredictions)}};
    for (std::uint32_t i = sorted.begin[k]; i < sorted.begin[k + 1]; ++i) {
      double& value = points[sorted.places[i]].value;
      if (narrow[i] == std::byte{1}) {
        const auto bits = of_floats.decode(load_le<std::uint32_t>(floats));
        value = static_cast<double>(std::bit_cast<float>(bits));
        floats = floats.subspan(4);
      } else {
        const std::uint64_t bits = of_doubles.decode(load_le<std::uint64_t>(doubles));
        value = form == 0 ? std::bit_cast<double>(bits)
                          : from_decimal(bits, static_cast<std::uint8_t>(form - 1));
        doubles = doubles.subspan(8);
      }
    }
  }
}

}  // namespace

ByteVector encode_segment(const std::vector<Point>& points) {
  ASSERT(points.size() <= kSegmentPointsMax);
  Columns columns;
  fill(columns, points, series_in(points));
  Column out;
  out.fixed(kVersion);
  out.varint(points.size());
  compression::ZstdEncoder zstd;
  for (Column* column : {&columns.series, &columns.order, &columns.steps, &columns.times,
                         &columns.narrow, &columns.predictions})
    put_column(out.bytes(), column->bytes(), zstd, false);
  put_planes(out.bytes(), columns.floats.bytes(), 4, zstd);
  put_planes(out.bytes(), columns.doubles.bytes(), 8, zstd);
  return std::move(out.bytes());
}

Result<std::vector<Point>> decode_segment(Bytes in) {
  if (in.size() > kSegmentBytesMax) return fail(Kind::kLimit, "decode segment", "it is too long");
  wire::Reader reader(in);
  if (reader.byte() != kVersion) return fail(Kind::kMalformed, "decode segment", "unknown version");
  const std::size_t count = reader.varint(kSegmentPointsMax);
  Unpacker unpack(reader);
  const auto series = TRY(read_series(unpack.column(kSegmentPointsMax * 3)));
  std::array<ByteVector, 3> columns;
  for (ByteVector& column : columns) column = unpack.column(kColumnMax);
  const ByteVector narrow = unpack.column(count);
  const auto floats_count =
      static_cast<std::size_t>(std::count(narrow.begin(), narrow.end(), std::byte{1}));
  const ByteVector predictions = unpack.column(2 * series.size());
  if (narrow.size() != count || series.size() > count || predictions.size() != 2 * series.size())
    reader.fail(wire::Fault::kUnknownValue);
  for (std::size_t i = 0; i < predictions.size(); ++i)
    if (predictions[i] >= std::byte{i % 2 == 0 ? kFloatWays : kDoubleWays})
      reader.fail(wire::Fault::kUnknownValue);
  const ByteVector floats = unpack.planes(reader.failed() ? 0 : floats_count, 4);
  const ByteVector doubles = unpack.planes(reader.failed() ? 0 : count - floats_count, 8);
  TRY(reader.finish("segment"));
  std::vector<std::uint32_t> places;
  auto points = TRY(read_rows(count, series, columns, places));
  read_values(points, by_series(places, series.size()), narrow, predictions, floats, doubles);
  return points;
}

}  // namespace longhaul::run
