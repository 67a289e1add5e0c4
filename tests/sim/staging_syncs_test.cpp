// A staging whose journal must stop naming bytes before they go: power loss at every point of each
// way they can go, and what is held afterwards reads as it was written.
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/staging.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::sim {
namespace {

using namespace store;  // the test speaks of little else

constexpr std::uint32_t kChunk = 1000;
const TreeName& folder() {
  static const TreeName name = TreeName::known(".longhaul/staging/one");
  return name;
}

Result<> write(Staging& staging, FileNo file, std::uint64_t offset, std::uint64_t seed) {
  ByteVector bytes(kChunk);
  Rng(seed).fill(bytes);
  const StagedWrite write{{file, offset, kChunk, crypto::sha256(Bytes(bytes))}, bytes};
  return staging.write(std::span(&write, 1));
}

Result<FileNo> write_file(Staging& staging, std::uint64_t seed) {
  const FileNo file = TRY(staging.add_file(TreeName::known("f"), 2 * kChunk));
  TRY(write(staging, file, 0, seed));
  TRY(write(staging, file, kChunk, seed + 1));
  return file;
}

using Way = Result<> (*)(Files& files, std::unique_ptr<Staging>& staging, FileNo file);

Result<> cut(Files&, std::unique_ptr<Staging>& staging, FileNo) {
  TRY(staging->add_file(TreeName::known("f"), kChunk));
  return {};
}
Result<> overwrite(Files&, std::unique_ptr<Staging>& staging, FileNo file) {
  return write(*staging, file, kChunk / 2, 7);
}
Result<> restart(Files&, std::unique_ptr<Staging>& staging, FileNo file) {
  TRY(staging->restart(file));
  return write(*staging, file, 0, 7);
}
Result<> give_up(Files&, std::unique_ptr<Staging>& staging, FileNo file) {
  TRY(staging->give_up(file));
  TRY(write_file(*staging, 7));
  return {};
}
Result<> find_it_moved(Files& files, std::unique_ptr<Staging>& staging, FileNo) {
  staging.reset();
  TRY(files.remove(TreeName::known("f").under(folder().child("tree").value())));
  staging = TRY(Staging::open(files, folder()));
  TRY(write_file(*staging, 7));
  return {};
}

Result<> live(Files& files, Way way) {
  TRY(make_folders(files, folder()));
  auto staging = TRY(Staging::open(files, folder()));
  const FileNo file = TRY(write_file(*staging, 1));
  TRY(staging->sync());
  return way(files, staging, file);
}

void expect_held_is_there(Files& files) {
  auto staging = Staging::open(files, folder());
  if (!staging) return;  // the folder itself was not durable yet
  const std::vector<StagedChunk> held = (*staging)->held();
  for (const StagedChunk& chunk : held) {
    const ChunkPlace place{(*staging)->name_of(chunk.file).under((*staging)->tree()), chunk.offset,
                           chunk.length};
    const auto bytes = read_chunk(files, place, chunk.chunk);
    ASSERT_TRUE(bytes) << bytes.error().message();
  }
}

class StagingSyncs : public testing::TestWithParam<Way> {};

TEST_P(StagingSyncs, P2WhatIsHeldAfterPowerLossIsThere) {
  for (const bool sync_all : {true, false})
    for (std::uint64_t stop = 0;; ++stop) {
      bool ended = false;
      for (std::uint64_t seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE("change " + std::to_string(stop) + " seed " + std::to_string(seed));
        CrashFiles disk({sync_all, false, true});
        disk.stop_after(stop);
        ended = live(disk, GetParam()).has_value();
        disk.lose_power(CrashFiles::Keep::subset(stop * 100 + seed));
        expect_held_is_there(disk);
        if (HasFatalFailure()) return;
      }
      if (ended) break;
    }
}

constexpr const char* kWays[] = {"Cut", "Overwrite", "Restart", "GiveUp", "FindItMoved"};
INSTANTIATE_TEST_SUITE_P(Ways, StagingSyncs,
                         testing::Values(cut, overwrite, restart, give_up, find_it_moved),
                         [](const auto& tested) { return kWays[tested.index]; });

}  // namespace
}  // namespace longhaul::sim
