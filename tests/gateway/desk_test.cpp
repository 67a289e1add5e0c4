// What a gateway's desk answers to questions of every kind, without a socket.
#include "lib/gateway/desk.hpp"

#include <gtest/gtest.h>

#include "lib/gateway/pass.hpp"
#include "lib/store/incoming.hpp"

namespace longhaul::gateway {
namespace {

// A site of one file, which notes what is wanted of it.
struct Wanted {
  std::map<std::string, store::Demand> by_dataset;
};
class OneFile final : public Site {
 public:
  explicit OneFile(Wanted& wanted) : wanted_(wanted) {}
  ~OneFile() override { wanted_.by_dataset.clear(); }
  std::string where() const override { return "in a test"; }
  Result<std::optional<store::VersionNo>> current(const store::DatasetName& dataset) override {
    if (dataset.text() != "words") return std::optional<store::VersionNo>();
    return store::VersionNo(42);
  }
  Result<std::optional<Seen>> look(const store::TreeName& name) override {
    if (name.text() != "datasets/words/v000042/a") return std::optional<Seen>();
    return Seen{{1, 2, 3, 4, -5}, 5};
  }
  Result<Filled> read(const store::TreeName& name, std::uint64_t offset,
                      MutableBytes out) override {
    if (name.text() == "datasets/words/v000042/broken")
      return fail(Kind::kIo, "read it", "the disk is ill");
    if (name.text() != "datasets/words/v000042/a" || offset + out.size() > 5) return Filled::kNot;
    const Bytes whole = bytes_of("abcde");
    std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return Filled::kWhole;
  }
  void want(const store::DatasetName& dataset, const store::Demand& demand) override {
    wanted_.by_dataset[dataset.text()] = demand;
  }
  void want_nothing(const store::DatasetName& dataset) override {
    wanted_.by_dataset.erase(dataset.text());
  }

 private:
  Wanted& wanted_;
};

struct DeskTest : testing::Test {
  Wanted wanted;
  Desk desk{[this]() -> Result<std::unique_ptr<Site>> {
    return std::unique_ptr<Site>(std::make_unique<OneFile>(wanted));
  }};
  Time now{};
  std::uint64_t number = 0;

  template <class What>
  Answer ask(What what, const std::string& reader = "one") {
    Question question;
    question.number = ++number;
    question.what = std::move(what);
    const auto answer = wire::decode<Answer>(desk.answer(now, reader, wire::encode(question)));
    EXPECT_TRUE(answer.has_value());
    EXPECT_EQ(answer->number, number);
    return *answer;
  }
  static Kind refused(const Answer& answer) {
    const auto* refusal = std::get_if<Refused>(&answer.what);
    EXPECT_NE(refusal, nullptr);
    return refusal == nullptr ? Kind::kIo : refusal->kind;
  }
};

TEST_F(DeskTest, SaysWhatIsThere) {
  EXPECT_EQ(std::get<Current>(ask(AskCurrent{"words"}).what).version, "v000042");
  EXPECT_EQ(std::get<Current>(ask(AskCurrent{"other"}).what).version, "");
  const Looked seen = std::get<Looked>(ask(AskLook{"datasets/words/v000042/a"}).what);
  EXPECT_TRUE(seen.is_there);
  EXPECT_EQ(seen.bytes, 5U);
  EXPECT_EQ(seen.mark, (std::vector<std::int64_t>{1, 2, 3, 4, -5}));
  EXPECT_FALSE(std::get<Looked>(ask(AskLook{"datasets/words/v000042/b"}).what).is_there);
  const Part part = std::get<Part>(ask(AskPart{"datasets/words/v000042/a", 1, 3}).what);
  EXPECT_TRUE(part.is_whole);
  EXPECT_EQ(text_of(part.bytes), "bcd");
  EXPECT_FALSE(std::get<Part>(ask(AskPart{"datasets/words/v000042/a", 3, 3}).what).is_whole);
}

TEST_F(DeskTest, RefusesWhatIsNoPartOfADataset) {
  for (const char* name : {".longhaul/identity.pem", ".longhaul/ledger", "runs/a/log/000001.run",
                           ".longhaul/gateway/site.keys", ".longhaul", "datasets.bak/x",
                           ".longhaul/staging/0123/journal", ".longhaul/demand/words/host.1.0"}) {
    EXPECT_EQ(refused(ask(AskLook{name})), Kind::kAuth) << name;
    EXPECT_EQ(refused(ask(AskPart{name, 0, 10})), Kind::kAuth) << name;
  }
  for (const char* name :
       {"", "/etc/passwd", "../x", "datasets/../.longhaul/ledger", "datasets//a"})
    EXPECT_EQ(refused(ask(AskLook{name})), Kind::kMalformed) << name;
  for (const char* name : {"", "..", "a/b", "wo\nrds"})
    EXPECT_NE(refused(ask(AskCurrent{name})), Kind::kIo) << name;
  const auto words = store::DatasetName::parse("words").value();
  for (const store::TreeName& name :
       {store::incoming_manifest(words), store::incoming_tree(words),
        store::TreeName::known("a/b.bin").under(store::incoming_tree(words)),
        store::Root::manifest_of(words, store::VersionNo(1)),
        store::Root::folder_of(words, store::VersionNo(1))})
    EXPECT_TRUE(is_served(name)) << name.text();
}

TEST_F(DeskTest, RefusesNonsenseAndPassesErrorsOn) {
  EXPECT_EQ(refused(ask(AskPart{"datasets/words/v000042/a", 0, 0})), Kind::kMalformed);
  EXPECT_EQ(refused(ask(AskPart{"datasets/words/v000042/a", 0, kPartMax + 1})), Kind::kMalformed);
  EXPECT_EQ(refused(ask(AskPart{"datasets/words/v000042/a", ~0ULL, 1})), Kind::kMalformed);
  EXPECT_EQ(refused(ask(AskPart{"datasets/words/v000042/broken", 0, 1})), Kind::kIo);
  SayWant said{"words", true, 2, {}};
  EXPECT_EQ(refused(ask(said)), Kind::kMalformed) << "more urgent ones than there are";
  const auto answer = wire::decode<Answer>(desk.answer(now, "one", bytes_of("\xff\xff nonsense")));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(refused(*answer), Kind::kMalformed);
  EXPECT_EQ(answer->number, 0U);
  Question newer;
  newer.version = kProtocolVersion + 1;
  newer.number = 7;
  newer.what = AskCurrent{"words"};
  const auto told = wire::decode<Answer>(desk.answer(now, "one", wire::encode(newer)));
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->number, 7U);
  EXPECT_EQ(refused(*told), Kind::kUnsupported);
  EXPECT_EQ(std::get<Refused>(told->what).why, "it speaks version 1, the reader version 2");
}

TEST_F(DeskTest, ForgetsTheWishesOfAReaderThatIsGone) {
  const store::ChunkId chunk = crypto::sha256("chunk");
  EXPECT_TRUE(std::holds_alternative<Noted>(ask(SayWant{"words", true, 1, {chunk}}).what));
  ASSERT_TRUE(wanted.by_dataset.contains("words"));
  EXPECT_EQ(wanted.by_dataset["words"], (store::Demand{{chunk}, 1}));
  ask(SayWant{"words", false, 0, {}});
  EXPECT_FALSE(wanted.by_dataset.contains("words"));
  ask(SayWant{"words", true, 1, {chunk}});
  now += kReaderLife;
  desk.forget_idle(now);
  EXPECT_EQ(desk.readers(), 1U);
  now += 1ms;
  desk.forget_idle(now);
  EXPECT_EQ(desk.readers(), 0U);
  EXPECT_TRUE(wanted.by_dataset.empty());
}

TEST_F(DeskTest, ServesSoManyReadersAndNoMore) {
  for (std::size_t i = 0; i < kReadersMax; ++i) ask(AskCurrent{"words"}, std::to_string(i));
  const Answer one_more = ask(AskCurrent{"words"}, "one more");
  EXPECT_EQ(refused(one_more), Kind::kLimit);
  EXPECT_EQ(std::get<Refused>(one_more.what).why, "it serves 256 readers already");
  ask(Leave{}, "7");
  EXPECT_EQ(desk.readers(), kReadersMax - 1);
  EXPECT_TRUE(std::holds_alternative<Current>(ask(AskCurrent{"words"}, "one more").what));
}

TEST(Pass, ReadsTheSameAfterWriting) {
  const Pass pass{"sweep-3", "tcp://login1:7710", std::string(40, 'a'), std::string(40, '#'),
                  std::string(40, 'Z')};
  EXPECT_EQ(parse_pass(to_text(pass)).value(), pass);
  std::string text = to_text(pass);
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(parse_pass(text.substr(0, size))) << size;
  EXPECT_FALSE(parse_pass(text + "\n"));
  EXPECT_EQ(parse_pass("").error().why(), "it is none");
  EXPECT_EQ(parse_pass("longhaul gateway pass 1\nrun a\n").error().why(), "a line is missing");
  EXPECT_EQ(parse_pass(text + "x").error().why(), "there is more than it should hold");
  Pass bad = pass;
  bad.our_secret[3] = '~';
  EXPECT_EQ(parse_pass(to_text(bad)).error().why(), "a key is damaged");
  bad = pass;
  bad.run = "../x";
  EXPECT_EQ(parse_pass(to_text(bad)).error().why(), "that is no name of a run");
}

TEST(Pass, KnowsEndpoints) {
  for (const char* good :
       {"tcp://login1:7710", "tcp://0.0.0.0:0", "tcp://[::1]:7710", "ipc:///tmp/x"})
    EXPECT_TRUE(judge_endpoint(good)) << good;
  const auto why = [](std::string_view endpoint) { return judge_endpoint(endpoint).error().why(); };
  EXPECT_EQ(why("udp://a:1"), "it is neither tcp:// nor ipc://");
  EXPECT_EQ(why("tcp://a"), "there is no host and port");
  EXPECT_EQ(why("tcp://:7710"), "there is no host and port");
  EXPECT_EQ(why("tcp://a:77100"), "there is no host and port");
  EXPECT_EQ(why("tcp://a b:7710"), "that is no host");
  EXPECT_EQ(why("tcp://eth0;a:7710"), "that is no host");
  EXPECT_EQ(why("ipc://relative"), "the path is not absolute");
  EXPECT_EQ(why("ipc:///a b"), "there is a blank in it");
  EXPECT_EQ(why("ipc:///" + std::string(101, 'a')), "the path is too long for a socket");
  EXPECT_EQ(judge_endpoint("x").error().advice(),
            "tcp://ADDRESS:PORT, or ipc:///ABSOLUTE/PATH for readers on this host");
}

}  // namespace
}  // namespace longhaul::gateway
