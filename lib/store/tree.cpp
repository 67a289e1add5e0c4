#include "lib/store/tree.hpp"

#include <algorithm>
#include <deque>

#include "lib/base/assert.hpp"
#include "lib/store/tree_record.hpp"

namespace longhaul::store {
namespace {

constexpr std::string_view kFolderSalt = "longhaul folder 1\n";
constexpr std::string_view kContentSalt = "longhaul content 1\n";

tl::unexpected<Error> bad_entry(const TreeName& name, const char* why) {
  return fail(Kind::kMalformed, "accept " + name.shown() + " into a tree", why);
}

}  // namespace

struct TreeBuilder::State {
  struct Level {
    Level() { hasher.update(kFolderSalt); }
    TreeName name;
    std::size_t record = 0;  // where the folder's own record starts; the root has none
    std::size_t inside = 0;  // where what it holds starts
    std::string last;        // the newest name in it
    crypto::Sha256 hasher;
  };

  State() {
    body.reserve(4096);
    levels.emplace_back();
  }

  Result<> add(const TreeName& name, const RecordHead& head) {
    if (name.is_root()) return bad_entry(name, "the root has no record");
    const TreeName parent = name.parent();
    const auto open = std::find_if(levels.rbegin(), levels.rend(),
                                   [&](const Level& level) { return level.name == parent; });
    if (open == levels.rend()) return bad_entry(name, "its folder is missing or closed");
    if (head.name <= open->last && !open->last.empty())
      return bad_entry(name, "it is out of order, or there twice");
    TRY(judge(name, head));
    while (levels.back().name != parent) leave();
    Level& level = levels.back();
    if (body.size() + head.pieces.size() > kTreeBytesMax || ++entries > kTreeEntriesMax)
      return fail(Kind::kLimit, "accept " + name.shown() + " into a tree", "the tree is too large");
    level.last = head.name;
    grow(head.pieces.size() + kTreeNameBytesMax + 512);
    const std::size_t start = body.size();
    write_record(body, head);
    if (head.type == EntryType::kFolder) {
      levels.emplace_back();
      levels.back().name = name;
      levels.back().record = start;
      levels.back().inside = body.size();
    } else {
      level.hasher.update(Bytes(body).subspan(start));
    }
    return {};
  }

  Result<> judge(const TreeName& name, const RecordHead& head) {
    switch (head.type) {
      case EntryType::kFolder:
        if ((head.mode & ~kModeMask) != 0) return bad_entry(name, "a mode that is not kept");
        ++totals.folders;
        return {};
      case EntryType::kFile:
        if ((head.mode & ~kModeMask) != 0) return bad_entry(name, "a mode that is not kept");
        if (head.size > kFileBytesMax) return bad_entry(name, "it is too large");
        totals.chunks += TRY(check_pieces(head.pieces, head.size));
        ++totals.files;
        totals.bytes += head.size;
        return {};
      case EntryType::kSymlink:
        ++totals.links;
        return judge_link_target(head.target, name);
      case EntryType::kHardLink: {
        ++totals.links;
        TreeName target = TRY(TreeName::parse(head.target));
        if (target >= name) return bad_entry(name, "a hard link to what does not stand before it");
        twins.push_back(std::move(target));
        return {};
      }
    }
    return bad_entry(name, "an unknown type");
  }

  void leave() {
    Level& level = levels.back();
    const MutableBytes tail = MutableBytes(body).subspan(level.inside - kFolderTail, kFolderTail);
    seal_folder(tail, level.hasher.finish(), body.size() - level.inside);
    const Bytes record =
        Bytes(body).subspan(level.record, level.inside - kInsideBytes - level.record);
    Level& outer = levels[levels.size() - 2];
    outer.hasher.update(record);
    levels.pop_back();
  }

  // By a quarter, not by doubling: a million files must fit into 300 MB while they grow.
  void grow(std::size_t more) {
    if (body.capacity() - body.size() < more) body.reserve(body.size() + body.size() / 4 + more);
  }

  // Every hard link names a regular file of this tree: one merge with the walk.
  Result<> check_twins(TreeWalk walk) {
    std::sort(twins.begin(), twins.end());
    auto wanted = twins.begin();
    while (wanted != twins.end() && walk.next()) {
      if (walk.entry().name < *wanted) continue;
      if (walk.entry().name != *wanted || walk.entry().type != EntryType::kFile) break;
      while (wanted != twins.end() && *wanted == walk.entry().name) ++wanted;
    }
    if (wanted != twins.end())
      return bad_entry(*wanted, "a hard link names it, but no file is there");
    return {};
  }

  ByteVector body;
  std::deque<Level> levels;
  std::vector<TreeName> twins;
  TreeTotals totals;
  std::uint64_t entries = 0;
};

TreeBuilder::TreeBuilder() : state_(std::make_unique<State>()) {}
TreeBuilder::~TreeBuilder() = default;
TreeBuilder::TreeBuilder(TreeBuilder&&) noexcept = default;
TreeBuilder& TreeBuilder::operator=(TreeBuilder&&) noexcept = default;

Result<> TreeBuilder::add(const Entry& entry, std::span<const Piece> pieces) {
  ASSERT(state_ != nullptr);
  RecordHead head;
  head.type = entry.type;
  head.name = entry.name.last();
  head.mode = entry.mode;
  head.mtime = entry.mtime;
  head.size = entry.size;
  head.target = entry.target;
  for (const Piece& piece : pieces)
    if (piece.length > kFileBytesMax) return bad_entry(entry.name, "a piece is too large");
  const ByteVector encoded = encode_pieces(pieces);
  head.pieces = encoded;
  return state_->add(entry.name, head);
}

Result<Tree> TreeBuilder::finish() {
  ASSERT(state_ != nullptr);
  const std::unique_ptr<State> state = std::move(state_);
  while (state->levels.size() > 1) state->leave();
  auto body = std::make_shared<const ByteVector>(std::move(state->body));
  TRY(state->check_twins(TreeWalk(body)));
  return Tree(std::move(body), state->levels.front().hasher.finish(), state->totals);
}

Tree::Tree() {
  TreeBuilder builder;
  auto empty = builder.finish();
  ASSERT(empty.has_value());
  *this = *std::move(empty);
}

// Canonical by construction: what the records say is built again and must come out the same. That
// checks order, digests, `inside` lengths and spelling at once.
Result<Tree> Tree::parse(ByteVector bytes) {
  TreeBuilder builder;
  std::vector<std::pair<std::size_t, TreeName>> open;
  Bytes left = bytes;
  while (!left.empty()) {
    const RecordHead head = TRY(read_record(left));
    const std::size_t at = bytes.size() - left.size();
    const TreeName folder = open.empty() ? TreeName() : open.back().second;
    TreeName name = TRY(folder.child(head.name));
    TRY(builder.state_->add(name, head));
    while (!open.empty() && open.back().first <= at) open.pop_back();
    if (head.type == EntryType::kFolder && head.inside > 0)
      open.emplace_back(at + static_cast<std::size_t>(head.inside), std::move(name));
  }
  Tree tree = TRY(builder.finish());
  if (!equal(tree.bytes(), bytes))
    return fail(Kind::kIntegrity, "read a manifest", "its digests do not match what it holds");
  return tree;
}

bool TreeWalk::next() {
  while (!open_.empty() && open_.back().first <= at_) open_.pop_back();
  if (at_ >= body_->size()) return false;
  Bytes left = Bytes(*body_).subspan(at_);
  const auto head = read_record(left);
  ASSERT(head.has_value());  // a Tree's bytes were judged
  at_ = body_->size() - left.size();
  auto name = open_.empty() ? TreeName().child(head->name) : open_.back().second.child(head->name);
  ASSERT(name.has_value());
  entry_.name = *std::move(name);
  entry_.type = head->type;
  entry_.mode = head->mode;
  entry_.mtime = head->mtime;
  entry_.size = head->size;
  entry_.target.assign(head->target);
  pieces_ = head->pieces;
  digest_ = head->digest;
  inside_end_ = at_ + static_cast<std::size_t>(head->inside);
  if (head->type == EntryType::kFolder) open_.emplace_back(inside_end_, entry_.name);
  return true;
}

void TreeWalk::skip() {
  if (entry_.type == EntryType::kFolder) at_ = inside_end_;
}

std::vector<Piece> TreeWalk::pieces() const {
  return decode_pieces(pieces_);
}

std::optional<Entry> find_entry(const Tree& tree, const TreeName& name) {
  for (TreeWalk walk(tree); walk.next();) {
    if (walk.entry().name == name) return walk.entry();
    if (walk.entry().name > name) break;
    if (!name.is_within(walk.entry().name)) walk.skip();
  }
  return std::nullopt;
}

crypto::Digest content_hash(std::span<const Piece> pieces) {
  crypto::Sha256 hasher;
  hasher.update(kContentSalt);
  hasher.update(encode_pieces(pieces));
  return hasher.finish();
}

}  // namespace longhaul::store
