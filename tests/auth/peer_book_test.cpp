#include "lib/auth/peer_book.hpp"

#include <gtest/gtest.h>

namespace longhaul::auth {
namespace {

Peer ana(unsigned char key = 1) {
  Peer peer;
  peer.pin[0] = std::byte{key};
  peer.role = Role::kOwner;
  peer.name = "ana";
  peer.paired = {5};
  return peer;
}

TEST(PeerBook, KnowsPairedAndNoOthers) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana()));
  EXPECT_EQ(book.role_of(ana().pin), Role::kOwner);
  EXPECT_EQ(book.role_of(ana(2).pin), std::nullopt);
}

TEST(PeerBook, ARevokedPeerIsNobodyUntilPairedAnew) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana()));
  ASSERT_TRUE(book.revoke("ana", {9}));
  EXPECT_EQ(book.role_of(ana().pin), std::nullopt);
  ASSERT_TRUE(book.add(ana()));
  EXPECT_EQ(book.role_of(ana().pin), Role::kOwner);
  EXPECT_EQ(book.all().size(), 1U);
}

TEST(PeerBook, KeepsNamesApartAndTame) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana(1)));
  ASSERT_TRUE(book.add(ana(2)));
  EXPECT_EQ(book.find(ana(2).pin)->name, "ana-2");  // by which it is revoked, and told of
  Peer odd = ana(3);
  odd.name = "a b\n\x1b";
  ASSERT_TRUE(book.add(odd));
  EXPECT_EQ(book.all()[1].name, "ana-2");
  EXPECT_EQ(book.all()[2].name, "a-b--");
  EXPECT_EQ(*PeerBook::parse(book.text())->revoke("ana-2", {1}), *book.revoke("ana-2", {1}));
}

TEST(PeerBook, RevokesByKeyButNotByAGuess) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana(1)));
  EXPECT_EQ(book.revoke("0100", {1}).error().kind(), Kind::kNotFound);
  EXPECT_TRUE(book.revoke("01000000", {1}));
}

TEST(PeerBook, SaysWhyItRevokesNobody) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana(1)));
  Peer other = ana(1);
  other.pin[31] = std::byte{1};  // its key begins as the other's does
  ASSERT_TRUE(book.add(other));
  const Error unknown = book.revoke("berta\x1b", {1}).error();
  EXPECT_EQ(unknown.kind(), Kind::kNotFound);
  EXPECT_EQ(unknown.message(), "revoke 'berta\\x1b': no peer has that name or key");
  EXPECT_EQ(unknown.advice(), "`longhaul-streamer peers ls` lists them");
  const Error ambiguous = book.revoke("01000000", {1}).error();
  EXPECT_EQ(ambiguous.kind(), Kind::kUsage);
  EXPECT_EQ(ambiguous.message(), "revoke '01000000': 2 peers have a name or key like that");
  EXPECT_EQ(ambiguous.advice(), "give more of the key; `longhaul-streamer peers ls` lists them");
  EXPECT_EQ(book.role_of(ana(1).pin), Role::kOwner);
}

TEST(PeerBook, ABrokenFileLetsNobodyIn) {
  PeerBook book;
  ASSERT_TRUE(book.add(ana()));
  const std::string text = book.text();
  for (std::size_t cut = 1; cut < text.size(); ++cut)
    EXPECT_FALSE(PeerBook::parse(std::string_view(text).substr(0, cut)).has_value()) << cut;
  EXPECT_FALSE(PeerBook::parse(text + "0 owner x 1 -\n").has_value());
}

}  // namespace
}  // namespace longhaul::auth
