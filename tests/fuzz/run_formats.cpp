// What a run leaves behind, on arbitrary bytes; the first byte chooses: run log, segment, event
// file, shared log, a command's file, a command's words. What is accepted must come back as it was,
// or stay within its bounds.
#include <cstring>

#include "lib/base/assert.hpp"
#include "lib/run/command.hpp"
#include "lib/run/crc32c.hpp"
#include "lib/run/drain.hpp"
#include "lib/run/event_file.hpp"
#include "lib/run/segment.hpp"

using namespace longhaul;
using namespace longhaul::run;

namespace {

void read_log(Bytes bytes) {
  LogDecoder decoder;
  ControlBook book;  // what is in force, as the next attempt reads it
  const std::size_t half = bytes.size() / 2;
  decoder.feed(bytes.first(half));
  for (int part = 0; part < 2; ++part) {
    while (auto entry = decoder.next()) {
      LogEncoder encoder(entry->number);
      LogDecoder again;
      again.feed(encoder.frame(entry->record));
      ASSERT(again.next().has_value());
      if (const auto* event = std::get_if<RunEvent>(&entry->record)) book.on_event(*event);
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
  if (const auto head = SharedLog::read_head(memory))
    ASSERT(head->folder.size() <= kSharedFolderMax);
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

// Arrives twice, is carried out once at most.
void read_command(Bytes bytes) {
  // As if whoever wrote it had checked it, too: else nothing but noise is ever tried.
  ByteVector file(bytes.begin(), bytes.end());
  std::byte check[4];
  store_le(MutableBytes(check), crc32c(bytes));
  append(file, check);
  const auto command = read_command_file(file);
  (void)read_command_file(bytes);
  if (!command) return;
  ASSERT(equal(command_file(*command), file));
  ControlBook book;
  std::vector<RunEvent> expired;
  const auto judged = book.on_command(WallTime{5}, 1, *command);
  const auto taken = book.take(WallTime{7}, 2, expired);
  const std::size_t ends = command->id == 0 ? 0 : 1;
  ASSERT((judged ? 1U : 0U) + (taken ? 1U : 0U) + expired.size() == ends);
  if (taken) (void)book.done(WallTime{7}, 2, *taken, EventKind::kApplied);
  ASSERT(book.decided(command->id) == (ends == 1));
  if (!judged) ASSERT(!book.on_command(WallTime{7}, 3, *command) && !book.pending());
}

void read_words(Bytes bytes) {
  const auto command = parse_command(std::string(text_of(bytes)));
  if (!command) return;
  const auto again = parse_command(shown(*command));
  ASSERT(again.has_value() && again->kind == command->kind && again->name == command->name &&
         again->value == command->value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 6) {
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
    case 4:
      read_command(bytes);
      break;
    case 5:
      read_words(bytes);
      break;
  }
  return 0;
}
