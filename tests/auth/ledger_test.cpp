#include "lib/auth/ledger.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/io/posix_files.hpp"

namespace longhaul::auth {
namespace {

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("ledger-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

Result<> invite_ana(Ledger& ledger) {
  OpenInvite invite;
  invite.role = Role::kOwner;
  invite.expires = {600'000'000'000};
  return ledger.invites.add(invite, {0});
}

TEST_F(LedgerTest, SpendsAnInviteAndStoresTheKeyInOneStep) {
  auto files = io::PosixFiles::at(folder_.string());
  ASSERT_TRUE(files.has_value());
  ASSERT_TRUE(change_ledger(**files, invite_ana));
  const auto join = [](Ledger& ledger) -> Result<> {
    const OpenInvite invite = ledger.invites.open({0}).at(0);
    ledger.invites.spend(invite.secret, {0});
    Peer peer;
    peer.role = invite.role;
    peer.name = "ana";
    return ledger.peers.add(peer);
  };
  ASSERT_TRUE(change_ledger(**files, join));
  const auto after = load_ledger(**files);
  EXPECT_EQ(after->invites.size(), 0U);
  EXPECT_EQ(after->peers.role_of(Pin{}), Role::kOwner);
}

TEST_F(LedgerTest, AFailedChangeLeavesTheFileAsItWas) {
  auto files = io::PosixFiles::at(folder_.string());
  ASSERT_TRUE(change_ledger(**files, invite_ana));
  const auto refuse = [](Ledger& ledger) -> Result<> {
    ledger.invites.spend(Secret{}, {0});
    return fail(Kind::kAuth, "join");
  };
  EXPECT_FALSE(change_ledger(**files, refuse).has_value());
  EXPECT_EQ(load_ledger(**files)->invites.size(), 1U);
}

TEST_F(LedgerTest, ABrokenFileIsAnErrorAndNoLedgerIsEmpty) {
  auto files = io::PosixFiles::at(folder_.string());
  EXPECT_TRUE(load_ledger(**files)->peers.all().empty());
  ASSERT_TRUE(store::write_whole(**files, store::TreeName::known("ledger"),
                                 bytes_of("peers\nx\ninvites\n")));
  EXPECT_EQ(load_ledger(**files).error().attempt(), "read line 1 of the peer book");
  ASSERT_TRUE(store::write_whole(**files, store::TreeName::known("ledger"), bytes_of("x\n")));
  const Error headless = load_ledger(**files).error();
  EXPECT_EQ(headless.message(), "read the ledger of peers: its headings are missing");
  EXPECT_EQ(headless.advice(), "restore the file from a backup, or remove it and pair again");
}

}  // namespace
}  // namespace longhaul::auth
