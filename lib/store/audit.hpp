// Audit: reads a published version again, byte by byte, against its manifest, in steps as small as
// the caller likes. What is wrong is collected, never repaired here: a damaged file is to be pushed
// again. Not thread-safe.
//
//   Audit audit(files, tree, Root::folder_of(dataset, version));
//   while (TRY(audit.step(64U << 20)) == Audit::Progress::kMore) {}
//   for (const Damage& damage : audit.damage()) ..
#pragma once

#include <functional>
#include <vector>

#include "lib/store/chunk_index.hpp"
#include "lib/store/tree.hpp"
#include "lib/store/version.hpp"

namespace longhaul::store {

struct Damage {
  TreeName name;
  Error error;
};

class Audit {
 public:
  // Told for each file that is whole, hard links included, in walk order: its flat SHA-256, as
  // sha256sum prints it.
  using Sum = std::function<void(const TreeName&, const crypto::Digest&)>;
  Audit(Files& files, const Tree& tree, TreeName folder, Sum sum = nullptr);

  enum class Progress : std::uint8_t { kMore, kDone };
  Progress step(std::uint64_t most);                             // reads about so many bytes
  const std::vector<Damage>& damage() const { return damage_; }  // the first kDamageMax
  std::uint64_t damaged() const { return damaged_; }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  static constexpr std::size_t kDamageMax = 1000;
  Result<> begin();
  Result<> begin_hard_link();
  Result<> read_piece();
  Result<> read_flat();
  void note(Result<> result);
  void end_file();

  Files& files_;
  TreeWalk walk_;
  const TreeName folder_;
  const Sum sum_;
  std::unique_ptr<File> file_;  // under way
  std::vector<Piece> pieces_;
  std::size_t next_piece_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t flat_left_ = 0;  // of a hard link that is read for its sum alone
  crypto::Sha256 flat_;
  ByteVector buffer_;
  std::vector<Damage> damage_;
  std::uint64_t damaged_ = 0, bytes_read_ = 0;
};

struct Rebuilt {
  std::uint64_t versions = 0, files = 0;
  std::vector<Damage> unreadable;  // manifests: their chunks stay unknown, nothing else is lost
};
// Forgets the index and fills it from every manifest, oldest first. A version that is removed
// meanwhile is passed over.
Result<Rebuilt> rebuild_index(Root& root, ChunkIndex& index);

}  // namespace longhaul::store
