// What the store finds on its own disk after anything happened to it; the first byte chooses: a
// scan cache, or a staging whose journal is whole but says anything. Both may be given up, never
// believed into something that is not there.
#include <cstddef>
#include <cstdint>

#include "lib/store/journal.hpp"
#include "lib/store/scan_cache.hpp"
#include "lib/store/staging.hpp"
#include "tests/sim/crash_files.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::store;

void put(Files& files, const TreeName& name, Bytes content) {
  auto file = files.open(name, Access::kOpenOrCreate);
  ASSERT(file.has_value() && (*file)->resize(content.size()).has_value());
  ASSERT((*file)->write_at(content, 0).has_value());
}

void read_scan_cache(Bytes bytes) {
  sim::CrashFiles disk;
  const TreeName name = TreeName::known("cache");
  put(disk, name, bytes);
  auto cache = ScanCacheReader::open(disk, name);
  FileStat seen;
  seen.size = 4;
  for (const char* asked : {"a", "a/b", "b"}) {
    const auto pieces = cache.find(TreeName::known(asked), seen);
    std::uint64_t sum = 0;
    if (pieces.has_value())
      for (const Piece& piece : *pieces) sum += piece.length;
    ASSERT(!pieces.has_value() || sum == seen.size);
  }
}

// Records of the input: a length byte, then so many bytes.
void resume_staging(Bytes in) {
  sim::CrashFiles disk;
  const TreeName folder = TreeName::known("staging");
  ASSERT(make_folders(disk, TreeName::known("staging/tree")).has_value());
  put(disk, TreeName::known("staging/tree/f"), bytes_of("what is there"));
  std::vector<ByteVector> records;
  while (!in.empty()) {
    const std::size_t size =
        std::min<std::size_t>(std::to_integer<std::size_t>(in[0]), in.size() - 1);
    const Bytes record = in.subspan(1, size);
    if (!record.empty()) records.emplace_back(record.begin(), record.end());
    in = in.subspan(1 + size);
  }
  ASSERT(Journal::rewrite(disk, TreeName::known("staging/journal"), records).has_value());
  const auto staging = Staging::open(disk, folder);
  if (!staging.has_value()) return;
  for (const StagedChunk& chunk : (*staging)->held()) {
    const auto seen = disk.stat((*staging)->name_of(chunk.file).under((*staging)->tree()));
    ASSERT(seen.has_value() && chunk.length > 0);
    ASSERT(chunk.offset <= seen->size && chunk.length <= seen->size - chunk.offset);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 8192) return 0;
  const Bytes bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] % 2 == 0)
    read_scan_cache(bytes);
  else
    resume_staging(bytes);
  return 0;
}
