#include "lib/crypto/digest.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

namespace longhaul::crypto {
namespace {

TEST(Digest, MatchesFips180) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')).hex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, PiecesGiveTheSameAsTheWhole) {
  const std::string text = "the quick brown fox jumps over the lazy dog, twice over a long link";
  Sha256 hash;
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    hash.update(std::string_view(text).substr(0, cut));
    hash.update(std::string_view(text).substr(cut));
    EXPECT_EQ(hash.finish(), sha256(text)) << cut;  // and the hash starts anew
  }
}

TEST(Digest, ReadsItsOwnHexAndNothingElse) {
  const Digest digest = sha256("abc");
  EXPECT_EQ(Digest::from_hex(digest.hex()).value(), digest);
  EXPECT_EQ(Digest::from_hex(digest.hex().substr(1)).error().kind(), Kind::kMalformed);
  EXPECT_EQ(Digest::from_hex(digest.hex().replace(3, 1, "g")).error().kind(), Kind::kMalformed);
}

TEST(Digest, OrdersAndHashes) {
  EXPECT_TRUE(Digest{}.is_zero());
  EXPECT_LT(Digest{}, sha256("abc"));
  EXPECT_EQ((std::unordered_set<Digest>{sha256("a"), sha256("b"), sha256("a")}.size()), 2U);
}

}  // namespace
}  // namespace longhaul::crypto
