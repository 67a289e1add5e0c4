// Golden bytes of the messages that move a tree, each once with every field set.
#include "tests/wire/catalogue.hpp"

namespace longhaul::wire {
namespace {

crypto::Digest digest(std::string_view of) {
  return crypto::sha256(of);
}

Offer some_offer() {
  Offer offer;
  offer.transfer = TransferId(3);
  offer.attempt = 2;
  offer.dataset = "corpus";
  offer.ahead = true;
  offer.root = digest("root");
  offer.base = digest("base");
  offer.files = 2'000;
  offer.bytes = 20'480'000;
  return offer;
}

Record file_record() {
  Record file;
  file.name = "a.bin";
  file.mode = 0644;
  file.mtime_ns = 1'700'000'000'000'000'001;
  file.size = 300'000;
  file.pieces = {Piece(Chunk{65'536, digest("chunk")}), Piece(Hole{234'464})};
  return file;
}

Record named_record(RecordType type, std::uint32_t up, std::string_view name,
                    std::string_view target) {
  Record record;
  record.type = type;
  record.up = up;
  record.name = Text<kNameMax>(name);
  record.target = Text<kTargetMax>(target);
  return record;
}

Segment some_segment() {
  Segment segment;
  segment.transfer = TransferId(3);
  segment.attempt = 2;
  segment.number = 1;
  segment.first_chunk = 8'192;
  Record folder = named_record(RecordType::kFolder, 0, "d", "");
  folder.mode = 0755;
  folder.mtime_ns = -1;
  Record more;
  more.type = RecordType::kMore;
  more.pieces = {Piece(Chunk{1, digest("more")})};
  Record same = named_record(RecordType::kSame, 1, "old", "");
  same.size = 7;
  segment.records = {folder,
                     file_record(),
                     more,
                     named_record(RecordType::kSymlink, 0, "link", "../a"),
                     named_record(RecordType::kHardLink, 0, "twin", "d/a.bin"),
                     same};
  return segment;
}

Segment edited_file() {
  Segment segment;
  segment.transfer = TransferId(3);
  Record file = file_record();
  file.pieces = {Piece(BasePart{0, 500}), Piece(Chunk{65'536, digest("chunk")}),
                 Piece(BasePart{501, 7'000})};
  segment.records = {file};
  return segment;
}

Want some_want() {
  Want want;
  want.transfer = TransferId(3);
  want.attempt = 2;
  want.again = true;
  want.first_chunk = 8'192;
  want.missing = Bitmap<kSegmentPiecesMax>(11);
  want.missing.set(0);
  want.missing.set(10);
  return want;
}

Block some_block() {
  Block block;
  block.transfer = TransferId(3);
  block.attempt = 2;
  block.codec = 1;
  block.raw_bytes = 70'000;
  block.runs = {ChunkRun{8'192, 2}, ChunkRun{8'200, 1}};
  block.base = digest("xor base");
  block.payload = Slice::copy_of("compressed");
  return block;
}

Answer some_answer() {
  Line line;
  line.name = "d/a.bin";
  line.type = 2;
  line.mode = 0644;
  line.version = 3;
  line.files = 1;
  line.bytes = 300'000;
  line.time_ns = 1'700'000'000'000'000'001;
  line.root = digest("content");
  line.note = "one chunk is wrong";
  Answer answer;
  answer.request = RequestId(300);
  answer.number = 1;
  answer.lines = {line, Line{}};
  answer.last = Outcome{Kind::kIntegrity, "1 file is wrong", 2, 300'000, 1};
  return answer;
}

}  // namespace

std::vector<GoldenBytes> transfer_golden() {
  const TransferId transfer(3);
  return {
      golden_transfer("full", some_offer()),
      golden_transfer("first", Offer{transfer, 1, "new", true, {}, {}, 0, 0}),
      golden_transfer("base", Fetch{transfer, "corpus", 3, digest("base"), true}),
      golden_transfer("full", FetchCheckpoint{transfer, "group/first", 2'000, true, true}),
      golden_transfer("known", Admit{transfer, 2, true}),
      golden_transfer("every-record", some_segment()),
      golden_transfer("base-parts", edited_file()),
      golden_transfer("again", some_want()),
      golden_transfer("soon", Demand{transfer, 2, 128, {{8'192, 200}, {300, 3}}}),
      golden_transfer("zstd", some_block()),
      golden_transfer("end", Seal{transfer, 2, 2, 8'201, 6, 300'001, digest("root")}),
      golden_transfer("progress", Receipt{transfer, 300'001, 65'536, 12}),
      golden_transfer("at-work", Beat{transfer}),
      golden_transfer("slow", Pace{transfer, 1'000'000}),
      golden_transfer("new", Committed{transfer, 4, digest("root"), false, 31'000}),
      golden_transfer("full-disk", Stop{transfer, Kind::kNoSpace, "the disk is full"}),
      golden_transfer("files", Ask{RequestId(300), AskType::kFiles, "corpus", 3}),
      golden_transfer("page", some_answer()),
  };
}

}  // namespace longhaul::wire
