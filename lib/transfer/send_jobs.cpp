#include "lib/transfer/send_jobs.hpp"

#include <algorithm>

#include "compression/codec.hpp"
#include "lib/transfer/block.hpp"
#include "lib/transfer/limits.hpp"

namespace longhaul::transfer {

void HashWork::run() {
  for (Item& item : items) {
    const auto result = hash(item);
    if (result) continue;
    // Vanished is changed, too; looked at anew it is an error with the file's name.
    const bool gone = result.error().kind() == Kind::kNotFound && !item.look_anew;
    if (result.error().kind() == Kind::kChanged || gone)
      item.changed = true;
    else
      item.error = result.error();
  }
}

Result<> HashWork::hash(Item& item) {
  if (item.look_anew) {
    const auto now = files->stat(item.name);
    if (!now && now.error().kind() == Kind::kNotFound)
      return fail(
          Error(Kind::kNotFound, "read " + item.name.shown(), "it vanished while it was sent")
              .advise("run the same command again; the others are sent, what has arrived is "
                      "not sent twice"));
    item.seen = TRY(now);
    if (item.seen.type != store::FileType::kFile)
      return fail(Kind::kChanged, "read " + item.name.shown(), "it is no longer a file");
  }
  if (!item.hasher)
    item.hasher = TRY(store::FileHasher::open(*files, item.name, item.seen, stages));
  const auto progress = TRY(item.hasher->step(kHashJobBytes, item.pieces));
  item.done = progress == store::FileHasher::Progress::kDone;
  if (item.done) {
    item.content = item.hasher->take_content();
    item.hasher.reset();  // its file
  }
  return {};
}

void RootWork::run() {
  store::TreeBuilder builder;
  const Rows& rows = source->rows;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (auto added = builder.add(rows.entry(row), rows.pieces(row)); !added) {
      error = added.error();
      return;
    }
  }
  auto built = builder.finish();
  if (built)
    tree = *std::move(built);
  else
    error = built.error();
}

void EncodeWork::run() {
  std::size_t raw_bytes = 0;
  for (const Part& part : parts) raw_bytes += part.length;
  Buffer raw(raw_bytes);
  const auto result = read(raw.bytes());
  if (!result) {
    error = result.error();
  } else if (changed.empty()) {
    block = encode(std::move(raw).freeze(raw_bytes));
  }
}

Result<> EncodeWork::read(MutableBytes raw) {
  std::unique_ptr<store::File> file;
  const store::TreeName* open_name = nullptr;
  for (const Part& part : parts) {
    const MutableBytes into = raw.first(part.length);
    raw = raw.subspan(part.length);
    if (!part.kept.empty()) {
      std::copy(part.kept.bytes().begin(), part.kept.bytes().end(), into.begin());
      continue;
    }
    if (open_name == nullptr || *open_name != part.name) {
      auto opened = files->open(part.name, store::Access::kRead);
      if (!opened && opened.error().kind() != Kind::kNotFound) return fail(opened.error());
      file = opened ? *std::move(opened) : nullptr;
      open_name = &part.name;
    }
    std::size_t got = 0;
    if (file) got = TRY(file->read_at(into, part.offset));
    // Bytes leave only under the name that the manifest gave them.
    const StageClock::Span span(clocks.stages, WorkStage::kHash);
    if (got != part.length || crypto::sha256(into) != part.id) changed.push_back(part.row);
  }
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return {};
}

Slice EncodeWork::encode(Slice raw) {
  wire::Block header;
  header.transfer = transfer;
  header.attempt = attempt;
  for (const Part& part : parts) {
    if (!runs.empty() && runs.back().first + runs.back().count == part.chunk)
      ++runs.back().count;
    else
      runs.push_back({part.chunk, 1});
  }
  header.runs = runs;
  const StageClock::Span span(clocks.stages, WorkStage::kCodec);
  const auto cpu_time = clocks.cpu_time;
  const Duration before = cpu_time != nullptr ? cpu_time() : Duration::zero();
  measured.rung = rung;
  measured.in_bytes = raw.size();
  EncodedBlock encoded = encode_block(std::move(header), std::move(raw), rung);
  measured.out_bytes = encoded.payload_bytes;
  measured.cpu = cpu_time != nullptr ? cpu_time() - before
                                     : CodecChooser::nominal_cpu(rung, measured.in_bytes);
  return std::move(encoded.message);
}

}  // namespace longhaul::transfer
