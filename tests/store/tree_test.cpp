#include "lib/store/tree.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "lib/base/rng.hpp"
#include "lib/store/difference.hpp"
#include "lib/store/tree_record.hpp"

namespace longhaul::store {
namespace {

Entry folder(const char* name) {
  return {TreeName::known(name), EntryType::kFolder, 0755, WallTime{7}, 0, ""};
}
Entry file(const char* name, std::uint64_t size) {
  return {TreeName::known(name), EntryType::kFile, 0644, WallTime{8}, size, ""};
}
Entry link(const char* name, const char* target, EntryType type) {
  return {TreeName::known(name), type, 0, WallTime{}, 0, target};
}
Piece chunk(std::uint64_t length, std::string_view text) {
  return {length, false, crypto::sha256(text)};
}

TreeBuilder small_tree(std::string_view text = "one") {
  TreeBuilder builder;
  EXPECT_TRUE(builder.add(folder("a")));
  EXPECT_TRUE(builder.add(folder("a/b")));
  EXPECT_TRUE(builder.add(file("a/b/f", 300), std::vector{chunk(100, text), {200, true, {}}}));
  EXPECT_TRUE(builder.add(file("a/empty", 0)));
  EXPECT_TRUE(builder.add(folder("c")));
  EXPECT_TRUE(builder.add(link("c/hard", "a/b/f", EntryType::kHardLink)));
  EXPECT_TRUE(builder.add(link("c/soft", "../a/b/f", EntryType::kSymlink)));
  EXPECT_TRUE(builder.add(file("z", 5), std::vector{chunk(5, "zzzzz")}));
  return builder;
}

std::vector<std::string> names(const Tree& tree) {
  std::vector<std::string> all;
  for (TreeWalk walk(tree); walk.next();) all.push_back(walk.entry().name.text());
  return all;
}

TEST(Tree, WalksWhatWasAdded) {
  const Tree tree = *small_tree().finish();
  EXPECT_EQ(names(tree), (std::vector<std::string>{"a", "a/b", "a/b/f", "a/empty", "c", "c/hard",
                                                   "c/soft", "z"}));
  EXPECT_EQ(tree.totals(), (TreeTotals{3, 3, 2, 305, 2}));
  const auto found = find_entry(tree, TreeName::known("a/b/f"));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, file("a/b/f", 300));
  EXPECT_FALSE(find_entry(tree, TreeName::known("a/b/g")));
  TreeWalk walk(tree);
  while (walk.next() && walk.entry().name.text() != "a/b/f") {
  }
  EXPECT_EQ(walk.pieces(), (std::vector{chunk(100, "one"), Piece{200, true, {}}}));
}

TEST(Tree, SkipsAFolderWhole) {
  const Tree tree = *small_tree().finish();
  std::vector<std::string> seen;
  for (TreeWalk walk(tree); walk.next(); walk.skip()) seen.push_back(walk.entry().name.text());
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "c", "z"}));
}

TEST(Tree, RootChangesWithAnything) {
  const Tree tree = *small_tree().finish();
  EXPECT_EQ(tree.root(), small_tree().finish()->root());
  EXPECT_NE(tree.root(), small_tree("two").finish()->root());
  EXPECT_NE(tree.root(), Tree().root());
}

TEST(Tree, ComesBackFromItsBytes) {
  const Tree tree = *small_tree().finish();
  auto again = Tree::parse(GrowingBytes::copy_of(tree.bytes()));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->root(), tree.root());
  EXPECT_EQ(again->totals(), tree.totals());
}

TEST(Tree, EveryFlippedBitAndEveryCutIsNoticed) {  // D2, S5
  const Tree tree = *small_tree().finish();
  const ByteVector good(tree.bytes().begin(), tree.bytes().end());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    ByteVector bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    auto parsed = Tree::parse(GrowingBytes::copy_of(bad));
    EXPECT_TRUE(!parsed || parsed->root() != tree.root()) << bit;
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    auto parsed = Tree::parse(GrowingBytes::copy_of(Bytes(good).first(length)));
    EXPECT_TRUE(!parsed || parsed->root() != tree.root()) << length;
  }
}

TEST(Tree, RefusesWhatDoesNotFit) {
  TreeBuilder builder;
  ASSERT_TRUE(builder.add(folder("m")));
  ASSERT_TRUE(builder.add(file("m/f", 3), std::vector{chunk(3, "abc")}));
  const auto refused = [&](const Entry& entry, std::vector<Piece> pieces = {}) {
    auto added = builder.add(entry, pieces);
    return !added && added.error().kind() == Kind::kMalformed;
  };
  EXPECT_TRUE(refused(file("m/f", 0)));                                // twice
  EXPECT_TRUE(refused(file("m/e", 0)));                                // out of order
  EXPECT_TRUE(refused(file("q/f", 0)));                                // no such folder
  EXPECT_TRUE(refused(file("m/g", 4), {chunk(3, "abc")}));             // too few bytes
  EXPECT_TRUE(refused(file("m/g", 2), {chunk(3, "abc")}));             // too many
  EXPECT_TRUE(refused(file("m/g", 0), {chunk(0, "")}));                // an empty chunk
  EXPECT_TRUE(refused(file("m/g", 1U << 20), {chunk(1U << 20, "")}));  // larger than any chunk
  EXPECT_TRUE(refused(file("m/g", 4), {{2, true, {}}, {2, true, {}}}));
  Entry setuid = file("m/g", 0);
  setuid.mode = 04755;
  EXPECT_TRUE(refused(setuid));
  EXPECT_TRUE(refused(link("m/l", "/etc/passwd", EntryType::kSymlink)));
  EXPECT_TRUE(refused(link("m/l", "../../x", EntryType::kSymlink)));
  EXPECT_TRUE(refused(link("m/l", "../x", EntryType::kHardLink)));
  EXPECT_TRUE(refused(link("m/l", "m/z", EntryType::kHardLink)));  // stands behind it
  EXPECT_TRUE(builder.add(link("m/l", "m", EntryType::kHardLink)));
  EXPECT_EQ(builder.finish().error().kind(), Kind::kMalformed);  // a folder is no file
}

TEST(Tree, NoAccidentMakesAHardLinkToNothing) {
  TreeBuilder builder;
  ASSERT_TRUE(builder.add(link("b", "a", EntryType::kHardLink)));
  EXPECT_EQ(builder.finish().error().kind(), Kind::kMalformed);
}

std::vector<std::string> changed_names(const Tree& from, const Tree& to) {
  std::vector<std::string> all;
  difference(from, to, [&](const Change& change) {
    const char* kind = change.before == nullptr ? "+" : change.after == nullptr ? "-" : "~";
    const TreeWalk* side = change.after == nullptr ? change.before : change.after;
    all.push_back(kind + side->entry().name.text());
  });
  return all;
}

TEST(Difference, NamesOnlyWhatDiffers) {
  const Tree one = *small_tree().finish();
  EXPECT_TRUE(changed_names(one, one).empty());
  EXPECT_EQ(changed_names(one, *small_tree("two").finish()), std::vector<std::string>{"~a/b/f"});
  TreeBuilder builder;
  ASSERT_TRUE(builder.add(folder("a")));
  ASSERT_TRUE(builder.add(file("a/b", 0)));
  ASSERT_TRUE(builder.add(file("b", 0)));
  ASSERT_TRUE(builder.add(file("z", 5), std::vector{chunk(5, "zzzzz")}));
  EXPECT_EQ(
      changed_names(one, *builder.finish()),
      (std::vector<std::string>{"~a/b", "-a/b/f", "-a/empty", "+b", "-c", "-c/hard", "-c/soft"}));
}

TEST(Difference, AgreesWithComparingNameByName) {
  Rng rng(5);
  for (int round = 0; round < 200; ++round) {
    std::array<Tree, 2> trees;
    for (Tree& tree : trees) {
      TreeBuilder builder;
      for (char top = 'a'; top < 'e'; ++top) {
        if (rng.chance(0.2)) continue;
        const std::string base(1, top);
        ASSERT_TRUE(builder.add(folder(base.c_str())));
        for (char leaf = 'a'; leaf < 'd'; ++leaf) {
          if (rng.chance(0.5)) continue;
          ASSERT_TRUE(builder.add(file((base + '/' + leaf).c_str(), 1),
                                  std::vector{chunk(1, rng.chance(0.3) ? "x" : "y")}));
        }
      }
      tree = *builder.finish();
    }
    std::vector<std::string> expected;
    std::map<TreeName, std::pair<std::string, std::string>> all;
    for (int side = 0; side < 2; ++side)
      for (TreeWalk walk(trees[static_cast<std::size_t>(side)]); walk.next();) {
        auto& slot = all[walk.entry().name];
        (side == 0 ? slot.first : slot.second) = "." + std::string(text_of(walk.piece_bytes()));
      }
    for (const auto& [name, slot] : all)
      if (slot.first != slot.second)
        expected.push_back((slot.first.empty()    ? "+"
                            : slot.second.empty() ? "-"
                                                  : "~") +
                           name.text());
    EXPECT_EQ(changed_names(trees[0], trees[1]), expected);
  }
}

}  // namespace
}  // namespace longhaul::store
