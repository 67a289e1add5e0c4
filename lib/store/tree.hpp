// Tree: everything that a version of a dataset holds, as one canonical run of bytes (docs/store.md,
// "Manifest"): records in walk order, each folder with the SHA-256 over what it holds, so that two
// trees are equal exactly if their roots are, and a folder that did not change is skipped without a
// look inside. About 65 bytes for a small file and 35 for each chunk of a large one: a million
// files or a terabyte take tens of megabytes.
//
// Tree is an immutable value, cheap to copy, safe to read from any thread. Everything in it has
// been judged: names, link targets, modes, order, that pieces fill each file, all digests.
//
//   TreeBuilder builder;
//   for (..) TRY(builder.add(entry, pieces));     // walk order: folder before what it holds
//   Tree tree = TRY(builder.finish());
//   for (TreeWalk walk(tree); walk.next();) use(walk.entry(), walk.pieces());
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/growing_bytes.hpp"
#include "lib/store/entry.hpp"

namespace longhaul::store {

constexpr std::uint64_t kTreeBytesMax = 4ULL << 30;  // of one manifest
constexpr std::uint64_t kTreeEntriesMax = 1ULL << 28;

struct TreeTotals {
  std::uint64_t files = 0;  // regular files; hard links not counted again
  std::uint64_t folders = 0;
  std::uint64_t links = 0;  // symbolic and hard
  std::uint64_t bytes = 0;  // of files, holes included
  std::uint64_t chunks = 0;
  bool operator==(const TreeTotals&) const = default;
};

class Tree {
 public:
  Tree();  // an empty one
  // The bytes of bytes(), from a disk or a peer: judged and every digest recomputed.
  static Result<Tree> parse(GrowingBytes bytes);

  const crypto::Digest& root() const { return root_; }
  const TreeTotals& totals() const { return totals_; }
  Bytes bytes() const { return body_->bytes(); }
  bool operator==(const Tree& other) const { return root_ == other.root_; }

 private:
  friend class TreeBuilder;
  friend class TreeWalk;
  Tree(std::shared_ptr<const GrowingBytes> body, crypto::Digest root, TreeTotals totals)
      : body_(std::move(body)), root_(root), totals_(totals) {}
  std::shared_ptr<const GrowingBytes> body_;
  crypto::Digest root_;
  TreeTotals totals_;
};

class TreeBuilder {
 public:
  TreeBuilder();
  ~TreeBuilder();
  TreeBuilder(TreeBuilder&&) noexcept;
  TreeBuilder& operator=(TreeBuilder&&) noexcept;
  // Refuses (kMalformed, kLimit) what stands out of order or twice, lies in no folder added before,
  // has pieces that do not fill its size, points out of the tree, or carries a mode we do not keep.
  Result<> add(const Entry& entry, std::span<const Piece> pieces = {});
  Result<Tree> finish();  // once; the builder is then spent

 private:
  friend class Tree;
  struct State;
  std::unique_ptr<State> state_;
};

// Entries in walk order. Holds the tree's bytes alive.
class TreeWalk {
 public:
  explicit TreeWalk(const Tree& tree) : TreeWalk(tree.body_) {}
  bool next();  // false at the end
  void skip();  // the next next() passes over what the current folder holds

  const Entry& entry() const { return entry_; }
  // Of the current file; decoded from the tree's bytes on each call.
  std::vector<Piece> pieces() const;
  Bytes piece_bytes() const { return pieces_; }  // equal bytes: equal pieces
  // Of the current folder: over everything it holds, not its own name, mode and time.
  const crypto::Digest& digest() const { return digest_; }

 private:
  friend class TreeBuilder;
  explicit TreeWalk(std::shared_ptr<const GrowingBytes> body) : body_(std::move(body)) {}
  std::shared_ptr<const GrowingBytes> body_;
  std::vector<std::pair<std::size_t, TreeName>> open_;  // end offset and name of open folders
  std::size_t at_ = 0;
  std::size_t inside_end_ = 0;  // of the current folder
  Entry entry_;
  Bytes pieces_;
  crypto::Digest digest_;
};

// The entry of that name. Skips folders beside the path, so it costs the siblings on the way.
std::optional<Entry> find_entry(const Tree& tree, const TreeName& name);
// A file's own hash: the root over its chunk hashes (docs/store.md, "File hash").
crypto::Digest content_hash(std::span<const Piece> pieces);

}  // namespace longhaul::store
