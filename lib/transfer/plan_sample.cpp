#include "lib/transfer/plan_sample.hpp"

#include <algorithm>

#include "lib/transfer/block.hpp"
#include "lib/transfer/codec_chooser.hpp"

namespace longhaul::transfer {

namespace {

constexpr int kTriesMax = 6;  // rungs of one ladder before it settles

// Rows that would be sent, with where each begins in the run of all their content.
struct Line {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> starts;
  std::uint64_t bytes = 0;
};

Line line_of(const Source& source, const SiteMemory& memory) {
  const BaseMatch match = memory.base ? BaseMatch(source.rows, *memory.base) : BaseMatch();
  Line line;
  std::size_t same_until = 0;
  for (std::size_t i = 0; i < source.rows.size(); ++i) {
    if (i >= same_until) {
      if (const auto run = match.run_at(i); run.rows > 0) same_until = i + run.rows;
    }
    if (i < same_until || source.rows.bytes(i) == 0) continue;
    line.starts.emplace_back(line.bytes, static_cast<std::uint32_t>(i));
    line.bytes += source.rows.bytes(i);
  }
  return line;
}

// What cannot be read is left out: the push itself will say so.
void append_content(const Source& source, std::uint32_t row, std::uint64_t offset,
                    std::uint64_t most, ByteVector& out) {
  const store::TreeName name = source.rows.name(row).under(source.root);
  const auto file = source.files->open(name, store::Access::kRead);
  if (!file) return;
  ByteVector bytes(static_cast<std::size_t>(std::min(most, source.rows.bytes(row) - offset)));
  const auto got = (*file)->read_at(bytes, offset);
  if (!got) return;
  bytes.resize(*got);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

void SampleRead::run() {
  const Line line = line_of(*source, memory);
  if (line.bytes == 0) return;
  const std::uint64_t step = std::max<std::uint64_t>(line.bytes / kBlocks, wire::kBlockBytesMax);
  is_all = step == wire::kBlockBytesMax;
  for (std::uint64_t from = 0; from < line.bytes; from += step) {
    auto at = std::upper_bound(line.starts.begin(), line.starts.end(), std::pair(from, ~0U)) - 1;
    Block block;
    block.row = at->second;
    // A large file is read from within, small ones from their start; if all is read, each byte
    // once.
    std::uint64_t offset = from - at->first;
    if (!is_all && offset + wire::kBlockBytesMax > source->rows.bytes(at->second)) offset = 0;
    for (; at != line.starts.end() && block.bytes.size() < wire::kBlockBytesMax; ++at) {
      append_content(*source, at->second, offset, wire::kBlockBytesMax - block.bytes.size(),
                     block.bytes);
      offset = 0;
    }
    bytes += block.bytes.size();
    crypto::sha256(block.bytes);  // the push hashes what it reads
    if (!block.bytes.empty()) blocks.push_back(std::move(block));
  }
}

void SampleEncode::run() {
  CodecChooser chooser(cores);
  // A push learns from one block for the next. A long one has soon settled, which is what it is
  // mostly made of; of a short one the learning is a part.
  const int tries_max = is_all ? 1 : kTriesMax;
  Duration effort{};
  for (const SampleRead::Block& block : blocks) {
    const std::uint64_t file_bytes = source->rows.bytes(block.row);
    std::optional<compression::Rung> last;
    const Slice raw = Slice::copy_of(block.bytes);
    std::uint64_t size = raw.size();
    for (int tries = 0; tries < tries_max; ++tries) {
      const auto rung = chooser.choose(block.row, file_bytes, link, {}).rung;
      if (rung == last) break;
      last = rung;
      const Duration before = cpu_time != nullptr ? cpu_time() : Duration::zero();
      size = encode_block({}, raw, rung).payload_bytes;
      tried_bytes += block.bytes.size();
      compression::Measured measured;
      measured.rung = rung;
      measured.in_bytes = block.bytes.size();
      measured.out_bytes = size;
      measured.cpu = cpu_time != nullptr ? cpu_time() - before
                                         : CodecChooser::nominal_cpu(rung, block.bytes.size());
      effort += measured.cpu;
      chooser.on_measured(block.row, file_bytes, measured);
    }
    raw_bytes += block.bytes.size();
    encoded_bytes += std::min<std::uint64_t>(size, block.bytes.size());
    if (effort > kEffort) break;
  }
}

}  // namespace longhaul::transfer
