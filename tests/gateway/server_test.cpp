// Readers and a gateway, over real sockets.
#include "lib/gateway/server.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "lib/gateway/remote_site.hpp"
#include "lib/gateway/zmq_socket.hpp"
#include "tests/gateway/door.hpp"

namespace longhaul::gateway {
namespace {

namespace fs = std::filesystem;

class GatewayTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "gateway-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / ".longhaul");
    fs::create_directories(root_ / "datasets/words/v000001");
    fs::create_symlink("v000001", root_ / "datasets/words/current");
    std::string content(3 * kPartMax + 17, ' ');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i % 23);
    std::ofstream(root_ / "datasets/words/v000001/large") << content;
    content_ = content;
  }
  void TearDown() override { fs::remove_all(root_); }
  static store::TreeName name(const char* text) { return store::TreeName::known(text); }
  std::optional<store::VersionNo> found_again(RemoteSite& site) const {
    auto current = site.current(words_);
    for (int tries = 0; tries < 600 && !current; ++tries) {
      ::poll(nullptr, 0, 100);
      current = site.current(words_);
    }
    EXPECT_TRUE(current) << current.error().message();
    return current.value_or(std::nullopt);
  }

  fs::path root_;
  std::string content_;
  const store::DatasetName words_ = store::DatasetName::parse("words").value();
  const store::TreeName large_ = name("datasets/words/v000001/large");
};

TEST_F(GatewayTest, HandsOutAFileOfManyParts) {
  for (const char* at : {"", "tcp://127.0.0.1:0"}) {
    const Door door(root_, at);
    const auto site = RemoteSite::open(door.file()).value();
    EXPECT_EQ(site->current(words_).value(), store::VersionNo(1));
    EXPECT_EQ(site->look(large_).value()->bytes, content_.size());
    EXPECT_EQ(text_of(read_whole(*site, large_, 1U << 30).value().value()), content_);
    EXPECT_EQ(read_whole(*site, large_, 100).error().kind(), Kind::kLimit);
    std::string some(kPartMax + 5, '-');
    const MutableBytes out = std::as_writable_bytes(std::span(some));
    EXPECT_EQ(site->read(large_, 1000, out).value(), Site::Filled::kWhole);
    EXPECT_EQ(some, content_.substr(1000, some.size()));
    EXPECT_EQ(site->read(large_, content_.size() - 10, out).value(), Site::Filled::kNot);
    EXPECT_FALSE(site->look(name("datasets/words/v000001/none")).value().has_value());
    const Error secret = site->look(name(".longhaul/ledger")).error();
    EXPECT_EQ(secret.kind(), Kind::kAuth);
    EXPECT_EQ(secret.why(),
              "it said: read .longhaul/ledger through the gateway: it is no part of a dataset");
  }
}

TEST_F(GatewayTest, LetsInWhoHoldsAPassAndNobodyElse) {
  Door door(root_);
  const Pass stranger = door.new_pass("stranger");  // its keys are good, and nobody knows them
  const auto outside = RemoteSite::open(door.file_of(stranger)).value();
  const Error error = outside->current(words_).error();
  EXPECT_EQ(error.kind(), Kind::kAuth) << error.message();
  EXPECT_EQ(error.why(), "it does not take this pass");
  EXPECT_EQ(error.advice(),
            "the site may have revoked it: `longhaul-streamer gateway pass` makes another");
  Pass wrong = door.pass();  // of another site
  wrong.run = "wrong";
  wrong.site_key = make_keys(*linked_zmq()).value().open;
  EXPECT_EQ(RemoteSite::open(door.file_of(wrong)).value()->current(words_).error().kind(),
            Kind::kTimeout);

  // Made while the gateway runs: it counts at once.
  const Pass second = door.new_pass("second");
  door.allow({door.pass(), second});
  const auto inside = RemoteSite::open(door.file_of(second)).value();
  EXPECT_TRUE(inside->current(words_)) << "just made";
  door.allow({door.pass()});
  door.skip(kPassesReadEach);
  const Error revoked = inside->current(words_).error();
  EXPECT_EQ(revoked.kind(), Kind::kAuth);
  EXPECT_NE(revoked.why().find("the pass was revoked"), std::string::npos);
  EXPECT_TRUE(RemoteSite::open(door.file()).value()->current(words_));
}

TEST_F(GatewayTest, IsFoundAgainWhenItComesBack) {
  Door door(root_, "tcp://127.0.0.1:0");
  const auto site = RemoteSite::open(door.file()).value();
  ASSERT_TRUE(site->current(words_));
  door.close();
  const Error away = site->current(words_).error();
  EXPECT_EQ(away.kind(), Kind::kTimeout) << away.message();
  EXPECT_EQ(away.why(), "it is not to be reached");
  door.open();
  EXPECT_EQ(found_again(*site), store::VersionNo(1));
}

// How many of 200 questions were told that nobody is there, within a minute: in one of waits there
// is room for 30.
int questions_in_a_minute(RemoteSite& site, const store::DatasetName& dataset) {
  const Time end = server_clock() + 60s;
  int asked = 0;
  while (asked < 200 && server_clock() < end) {
    site.want(dataset, {});
    if (site.current(dataset).error().kind() == Kind::kTimeout) ++asked;
  }
  return asked;
}

TEST_F(GatewayTest, IsNotWaitedForWhileItIsAway) {
  Door door(root_, "tcp://127.0.0.1:0");
  const auto site = RemoteSite::open(door.file()).value();
  ASSERT_TRUE(site->current(words_));
  door.close();
  EXPECT_EQ(questions_in_a_minute(*site, words_), 200);
}

// One lets readers in and says nothing: a process that was stopped, say.
TEST_F(GatewayTest, IsNotWaitedForWhileItIsMute) {
  Door door(root_, "tcp://127.0.0.1:0");
  const auto site = RemoteSite::open(door.file()).value();
  ASSERT_TRUE(site->current(words_));
  door.close();
  {
    ZmqContext context(*linked_zmq());
    ZmqSocket mute(context, ZMQ_ROUTER);
    mute.set(ZMQ_CURVE_SERVER, 1);
    mute.set(ZMQ_CURVE_SECRETKEY, door.keys().secret);
    ASSERT_TRUE(mute.bind(door.pass().at));
    int heard = 0;
    for (int tries = 0; tries < 600 && heard == 0; ++tries) {
      ::poll(nullptr, 0, 100);
      EXPECT_FALSE(site->current(words_));
      while (mute.receive()) ++heard;
    }
    ASSERT_GE(heard, 1);
    const Time began = server_clock();
    EXPECT_EQ(site->current(words_).error().why(), "it does not answer");
    EXPECT_EQ(questions_in_a_minute(*site, words_), 200);
    for (heard = 0; mute.receive();) ++heard;
    EXPECT_LE(heard, 1 + (server_clock() - began) / kAnswerPatience) << "now and then, not 200";
  }
  door.open();
  EXPECT_EQ(found_again(*site), store::VersionNo(1));
}

TEST_F(GatewayTest, TellsTheSiteWhatIsNeededUntilTheReaderIsGone) {
  Door door(root_);
  const fs::path folder = root_ / store::demand_folder(words_).text();
  const auto wishes = [&folder] {
    return fs::exists(folder) ? std::distance(fs::directory_iterator(folder), {}) : 0;
  };
  auto site = RemoteSite::open(door.file()).value();
  const store::Demand demand{{crypto::sha256("a"), crypto::sha256("b")}, 1};
  site->want(words_, demand);
  ASSERT_EQ(wishes(), 1);
  std::ifstream file(fs::directory_iterator(folder)->path(), std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(store::parse_demand(bytes_of(text)).value(), demand);
  site->want_nothing(words_);
  EXPECT_EQ(wishes(), 0);
  site->want(words_, demand);
  EXPECT_EQ(wishes(), 1);
  const auto wait_for_none = [&wishes] {
    for (int tries = 0; tries < 600 && wishes() > 0; ++tries) ::poll(nullptr, 0, 100);
    return wishes() == 0;
  };
  site.reset();
  EXPECT_TRUE(wait_for_none()) << "closed";

  // One that dies without a word.
  const auto dead = RemoteSite::open(door.file()).value();
  dead->want(words_, demand);
  EXPECT_EQ(wishes(), 1);
  door.skip(kReaderLife + 1s);
  EXPECT_TRUE(wait_for_none());
}

TEST_F(GatewayTest, RemovesNothingToListen) {
  std::ofstream(root_ / "precious") << "work of a year";
  ServerOptions options;
  options.at = "ipc://" + (root_ / "precious").native();
  const auto refused = GatewayServer::start(*linked_zmq(), std::move(options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::kExists);
  EXPECT_EQ(refused.error().why(), "something that is no socket stands there");
  EXPECT_EQ(refused.error().advice(), "give another path");
  EXPECT_EQ(fs::file_size(root_ / "precious"), 14U);
}

TEST_F(GatewayTest, SaysWhyItCannotListenOrBeReached) {
  const Door door(root_, "tcp://127.0.0.1:0");
  ServerOptions options;
  options.at = door.pass().at;
  options.keys = make_keys(*linked_zmq()).value();
  const auto busy = GatewayServer::start(*linked_zmq(), std::move(options));
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().kind(), Kind::kBusy);
  EXPECT_EQ(busy.error().why(), "another process listens there");
  EXPECT_EQ(RemoteSite::open(root_ / "none.pass").error().kind(), Kind::kNotFound);
  std::ofstream(root_ / "bad.pass") << "a shopping list";
  EXPECT_EQ(RemoteSite::open(root_ / "bad.pass").error().kind(), Kind::kMalformed);
}

}  // namespace
}  // namespace longhaul::gateway
