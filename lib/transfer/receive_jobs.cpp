#include "lib/transfer/receive_jobs.hpp"

#include "lib/transfer/block.hpp"

namespace longhaul::transfer {

void SegmentWork::run() {
  if (auto result = read(); !result) error = result.error();
}

Result<> SegmentWork::read() {
  const auto message_or = TRY(wire::decode<wire::TransferMessage>(message));
  const auto* segment = std::get_if<wire::Segment>(&message_or);
  if (segment == nullptr) return fail(Kind::kMalformed, "read a manifest segment");
  attempt = segment->attempt;
  const auto added = TRY(reader->add(*segment));
  hole_bytes = added.hole_bytes;
  base_files = added.base_files;
  base_bytes = added.base_bytes;
  std::vector<std::optional<store::FileNo>> files_of(added.rows.size());
  for (std::size_t i = 0; i < added.rows.size(); ++i) {
    if (added.rows[i].type != store::EntryType::kFile) continue;
    files_of[i] = TRY(sink->add_file(added.rows[i]));
    files.push_back(*files_of[i]);
  }
  for (const ChunkPlace& chunk : added.chunks) {
    const bool goes_on = chunk.row < added.first_row;
    const auto file = goes_on ? open_file : files_of[chunk.row - added.first_row];
    ASSERT(file.has_value());
    NewChunk fresh;
    fresh.place = {*file, chunk.offset, chunk.length, chunk.id};
    fresh.presence = sink->presence(fresh.place);
    chunks.push_back(fresh);
  }
  if (!added.file_open)
    open_file.reset();
  else if (!added.rows.empty())
    open_file = files_of.back();
  std::uint64_t to_write = 0;
  for (const NewChunk& chunk : chunks)
    to_write += chunk.presence == Presence::kHeld ? 0 : chunk.place.length;
  return sink->reserve(to_write);
}

void BlockWork::run() {
  if (auto result = write(); !result) error = result.error();
}

Result<Slice> BlockWork::decode() {
  const StageClock::Span span(stages, WorkStage::kCodec);
  return decode_block(block, {});
}

bool BlockWork::is_named(Bytes bytes, const store::ChunkId& chunk) {
  const StageClock::Span span(stages, WorkStage::kHash);
  return crypto::sha256(bytes) == chunk;
}

Result<> BlockWork::write() {
  // A block that holds nothing new is not even decoded.
  bool any = false;
  for (const Target& target : targets) any = any || target.wanted;
  if (!any) return {};
  const Slice raw = TRY(decode());
  std::vector<store::StagedWrite> writes;
  Bytes left = raw.bytes();
  for (const Target& target : targets) {
    const Bytes bytes = left.first(target.place.length);
    left = left.subspan(bytes.size());
    if (!target.wanted) continue;
    if (!is_named(bytes, target.place.chunk))
      return fail(Kind::kIntegrity, "take a block",
                  "a chunk does not have the hash the manifest names");
    writes.push_back({target.place, bytes});
  }
  return sink->write(writes);
}

void CopyWork::run() {
  for (Item& item : items) {
    const auto result = sink->copy_here(item.to, item.from);
    item.done = result.has_value();
    if (result) continue;
    const Kind kind = result.error().kind();
    if (kind == Kind::kNotFound || kind == Kind::kIntegrity) continue;
    error = result.error();
    return;
  }
}

void ManifestWork::run() {
  auto whole = reader->seal(seal);
  if (!whole) {
    error = whole.error();
    return;
  }
  sink->on_manifest(*whole);
  tree = *std::move(whole);
}

void PublishWork::run() {
  if (!tree) {
    auto whole = reader->seal(seal);
    if (!whole) {
      error = whole.error();
      return;
    }
    tree = *std::move(whole);
  }
  auto result = sink->publish(*tree);
  if (result)
    published = *result;
  else
    error = result.error();
}

}  // namespace longhaul::transfer
