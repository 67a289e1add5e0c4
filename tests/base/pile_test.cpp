#include "lib/base/pile.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/growing_bytes.hpp"
#include "lib/base/number_table.hpp"
#include "lib/base/rng.hpp"

namespace longhaul {
namespace {

TEST(Pile, KeepsItsElementsWhereTheyAre) {
  Pile<std::string> pile;
  pile.push_back("first");
  const std::string* first = &pile[0];
  for (int i = 1; i < 5000; ++i) pile.push_back(std::to_string(i));
  EXPECT_EQ(first, &pile[0]);
  ASSERT_EQ(pile.size(), 5000U);
  for (std::size_t i = 1; i < pile.size(); ++i) ASSERT_EQ(pile[i], std::to_string(i));
  pile.clear();
  EXPECT_TRUE(pile.empty());
  pile.push_back("anew");
  EXPECT_EQ(pile.back(), "anew");
}

TEST(TextPile, FindsEachTextAgainAcrossBlocks) {
  TextPile pile;
  std::vector<std::pair<std::uint64_t, std::string>> texts;
  Rng rng(1);
  for (int i = 0; i < 400; ++i) {
    std::string text(static_cast<std::size_t>(rng.below(3000)), static_cast<char>('a' + i % 26));
    const std::uint64_t at = pile.add(text);
    texts.emplace_back(at, std::move(text));
  }
  texts.emplace_back(pile.add(""), "");
  const std::string largest(TextPile::kTextMax, 'z');
  texts.emplace_back(pile.add(largest), largest);
  texts.emplace_back(pile.add("after"), "after");
  for (const auto& [at, text] : texts) EXPECT_EQ(pile.at(at, text.size()), text);
}

TEST(NumberTable, FindsWhatItsOwnerComparesEqual) {
  std::vector<std::string> names;
  NumberTable table;
  const std::hash<std::string> hash;
  const auto find = [&](const std::string& name) {
    return table.find(hash(name), [&](std::uint32_t n) { return names[n] == name; });
  };
  EXPECT_FALSE(find("0"));
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    names.push_back(std::to_string(i));
    table.add(hash(names.back()), i, [&](std::uint32_t n) { return hash(names[n]); });
  }
  EXPECT_EQ(table.size(), 10'000U);
  for (std::uint32_t i = 0; i < 10'000; ++i) ASSERT_EQ(find(names[i]), i);
  EXPECT_FALSE(find("10000"));
  table.clear();
  EXPECT_FALSE(find("0"));
}

TEST(NumberTable, EqualHashesAreToldApart) {
  const std::vector<int> values{7, 8, 9};
  NumberTable table;
  const auto same = [](std::uint32_t) { return std::uint64_t{42}; };
  for (std::uint32_t i = 0; i < values.size(); ++i) table.add(42, i, same);
  for (std::uint32_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(table.find(42, [&](std::uint32_t n) { return values[n] == values[i]; }), i);
  EXPECT_FALSE(table.find(42, [](std::uint32_t) { return false; }));
}

TEST(GrowingBytes, HoldsWhatWasAppended) {
  GrowingBytes bytes;
  EXPECT_TRUE(bytes.bytes().empty());
  ByteVector all;
  Rng rng(2);
  for (int i = 0; i < 300; ++i) {
    ByteVector more(static_cast<std::size_t>(rng.below(5000)), static_cast<std::byte>(i));
    bytes.append(more);
    append(all, more);
  }
  const MutableBytes room = bytes.extend(3);
  std::fill(room.begin(), room.end(), std::byte{9});
  all.resize(all.size() + 3, std::byte{9});
  bytes.fit();
  EXPECT_TRUE(equal(bytes.bytes(), all));
  GrowingBytes moved = std::move(bytes);
  EXPECT_TRUE(equal(moved.bytes(), all));
  EXPECT_EQ(bytes.size(), 0U);  // NOLINT: what is left is empty, and may grow again
  bytes.append(all);
  EXPECT_TRUE(equal(bytes.bytes(), GrowingBytes::copy_of(all).bytes()));
}

}  // namespace
}  // namespace longhaul
