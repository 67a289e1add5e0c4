// What a run leaves behind, on arbitrary bytes; the first byte chooses: run log, segment, event
// file, shared log. What is accepted must come back as it was, or stay within its bounds.
#include <cstring>

#include "lib/base/assert.hpp"
#include "lib/run/drain.hpp"
#include "lib/run/event_file.hpp"
#include "lib/run/segment.hpp"

using namespace longhaul;
using namespace longhaul::run;

namespace {

void read_log(Bytes bytes) {
  LogDecoder decoder;
  const std::size_t half = bytes.size() / 2;
  decoder.feed(bytes.first(half));
  for (int part = 0; part < 2; ++part) {
    while (auto entry = decoder.next()) {
      LogEncoder encoder(entry->number);
      LogDecoder again;
      again.feed(encoder.frame(entry->record));
      ASSERT(again.next().has_value());
    }
    decoder.feed(bytes.subspan(half));
  }
  ASSERT(decoder.whole_bytes() <= bytes.size() * 2);
}

void read_events(Bytes bytes) {
  EventReader reader;
  reader.feed(bytes);
  for (auto found = reader.next(); found && found->has_value(); found = reader.next()) {
  }
}

// A mapping whose front a broken program wrote over.
void read_shared(Bytes bytes) {
  constexpr SharedLogOptions kOptions{.rings = 1, .ring_records = 8};
  alignas(64) static std::byte memory[4096];
  std::memset(memory, 0, sizeof memory);
  std::memcpy(memory, bytes.data(), std::min(bytes.size(), sizeof memory));
  ASSERT(!SharedLog::open(memory).has_value());  // too short, whatever it says
  static std::byte* ring = static_cast<std::byte*>(std::aligned_alloc(64, ring_bytes(8)));
  std::memset(ring, 0, ring_bytes(8));
  std::memcpy(ring, bytes.data(), std::min(bytes.size(), ring_bytes(8)));
  RingConsumer consumer({ring, ring_bytes(8)}, kOptions.ring_records);
  std::vector<Point> points;
  std::vector<KeptMark> marks;
  ASSERT(consumer.take(100, points) <= 8);
  consumer.take_kept(points, marks);
  consumer.let_go();
  RingProducer producer({ring, ring_bytes(8)}, kOptions.ring_records);
  for (int i = 0; i < 20; ++i) producer.push({});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 4) {
    case 0:
      read_log(bytes);
      break;
    case 1:
      if (const auto points = decode_segment(bytes)) {
        const auto again = decode_segment(encode_segment(*points));
        ASSERT(again.has_value() && *again == *points);
      }
      break;
    case 2:
      read_events(bytes);
      break;
    case 3:
      read_shared(bytes);
      break;
  }
  return 0;
}
