#include "lib/store/tree.hpp"

#include <algorithm>
#include <array>
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

tl::unexpected<Error> bad_digests() {
  return fail(Kind::kIntegrity, "read a manifest", "its digests do not match what it holds");
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

  State() { levels.emplace_back(); }
  // Instead of writing bytes, compares with these.
  explicit State(GrowingBytes given) : body(std::move(given)), judging(true) {
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
    if (end + head.pieces.size() > kTreeBytesMax || ++entries > kTreeEntriesMax)
      return fail(Kind::kLimit, "accept " + name.shown() + " into a tree", "the tree is too large");
    level.last = head.name;
    record.clear();
    write_record(record, head);
    const std::size_t start = end;
    const bool is_folder = head.type == EntryType::kFolder;
    if (!put(record, is_folder ? kFolderTail : 0)) return bad_digests();
    if (is_folder) {
      levels.emplace_back();
      levels.back().name = name;
      levels.back().record = start;
      levels.back().inside = end;
    } else {
      level.hasher.update(record);
    }
    return {};
  }

  // later: so many bytes at its end are not known yet.
  bool put(Bytes bytes, std::size_t later) {
    if (!judging) {
      body.append(bytes);
    } else {
      const Bytes said = bytes.first(bytes.size() - later);
      if (body.size() - end < bytes.size() || !equal(body.bytes().subspan(end, said.size()), said))
        return false;
    }
    end += bytes.size();
    return true;
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
    std::array<std::byte, kFolderTail> tail;
    seal_folder(tail, level.hasher.finish(), end - level.inside);
    const MutableBytes place = body.writable().subspan(level.inside - kFolderTail, kFolderTail);
    differs = differs || (judging && !equal(place, tail));
    std::copy(tail.begin(), tail.end(), place.begin());
    Level& outer = levels[levels.size() - 2];
    outer.hasher.update(
        body.bytes().subspan(level.record, level.inside - kInsideBytes - level.record));
    levels.pop_back();
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

  GrowingBytes body;
  std::size_t end = 0;   // of what is written, or compared
  bool judging = false;  // body was given
  bool differs = false;  // from what it should be
  ByteVector record;     // the newest; kept for its room
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
  if (state->differs || state->end != state->body.size()) return bad_digests();
  state->body.fit();
  auto body = std::make_shared<const GrowingBytes>(std::move(state->body));
  TRY(state->check_twins(TreeWalk(body)));
  return Tree(std::move(body), state->levels.front().hasher.finish(), state->totals);
}

Tree::Tree() {
  TreeBuilder builder;
  auto empty = builder.finish();
  ASSERT(empty.has_value());
  *this = *std::move(empty);
}

// Canonical by construction: what the records say is spelled again and must be the same. That
// checks order, digests, `inside` lengths and spelling at once.
Result<Tree> Tree::parse(GrowingBytes given) {
  TreeBuilder builder;
  builder.state_ = std::make_unique<TreeBuilder::State>(std::move(given));
  std::vector<std::pair<std::size_t, TreeName>> open;
  const Bytes bytes = builder.state_->body.bytes();
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
  return builder.finish();
}

bool TreeWalk::next() {
  while (!open_.empty() && open_.back().first <= at_) open_.pop_back();
  if (at_ >= body_->size()) return false;
  Bytes left = body_->bytes().subspan(at_);
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
