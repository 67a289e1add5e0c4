#include "trainer/tokenizer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/sentencepiece.hpp"

namespace longhaul::trainer {
namespace {

// A protocol buffer, written by hand.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
  return out + static_cast<char>(value);
}
std::string number(unsigned field, std::uint64_t value) {
  return varint(field << 3) + varint(value);
}
std::string nested(unsigned field, const std::string& bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, float score, unsigned type = 1) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return nested(1, nested(1, text) + varint(2 << 3 | 5) + bits + number(3, type));
}
std::string specs(unsigned kind = 2) {
  return nested(2, number(3, kind)) +
         nested(3, nested(1, "identity") + number(3, 1) + number(4, 0));
}

const std::string kBlank = "\xe2\x96\x81";
std::string small_model() {
  std::string model = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);  // 0 1 2
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    model += piece(name, 0, 6);  // 3 + byte
  }
  model +=
      piece("ab", -1) + piece("bc", -2) + piece(kBlank + "ab", -3) + piece("abab", -4);  // 259 ..
  model += piece(kBlank, -10) + piece("a", -11) + piece("b", -12) + piece("c", -13);     // 263 ..
  return model + specs();
}
std::unique_ptr<Tokenizer> open(const std::string& model) {
  auto made = parse_sentencepiece(bytes_of(model));
  EXPECT_TRUE(made) << made.error().message();
  return std::move(*made);
}
using Ids = std::vector<Token>;

TEST(SentencePiece, JoinsTheBestPairFirst) {
  const auto tokenizer = open(small_model());
  // " abc": ab (-1) is joined before bc (-2), then with the blank (-3); c is left.
  EXPECT_EQ(tokenizer->encode("abc", Place::kBegin), (Ids{261, 266}));
  EXPECT_EQ(tokenizer->encode("bc", Place::kWithin), (Ids{260}));
  // _ab ab: the blank goes first (-3), so "abab" (-4) finds no "ab" of its own.
  EXPECT_EQ(tokenizer->encode("abab", Place::kBegin), (Ids{261, 259}));
  EXPECT_EQ(tokenizer->encode("abab", Place::kWithin), (Ids{262}));
  EXPECT_EQ(tokenizer->document_end(), Token{2});
}

TEST(SentencePiece, SpellsUnknownTextInBytesAndReadsItBack) {
  const auto tokenizer = open(small_model());
  EXPECT_EQ(tokenizer->encode("\xc3\xa9", Place::kWithin), (Ids{3 + 0xc3, 3 + 0xa9}));
  for (const std::string text : {"abc  a\nb", "\xc3\xa9t\xc3\xa9 ab", " lead", "trail  ", ""})
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, Place::kBegin)), text) << text;
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xff", Place::kBegin)), "a\xef\xbf\xbd");
}

// Of tests/golden/sentencepiece_reference.py.
TEST(SentencePiece, GivesTheLibrarysOwnIds) {
  for (const char* name : {"collapsing", "keeping"}) {
    const std::string path = std::string(LONGHAUL_SOURCE_DIR "/tests/golden/sentencepiece/") + name;
    const auto tokenizer = open(read_text(path + ".model", 1 << 20).value());
    std::istringstream lines(read_text(path + ".ids", 1 << 20).value());
    std::size_t texts = 0;
    for (std::string line; std::getline(lines, line); ++texts) {
      std::string text;
      const auto colon = line.find(':');
      ASSERT_NE(colon, std::string::npos);
      for (std::size_t at = 0; at < colon; at += 2)
        text += static_cast<char>(std::strtoul(line.substr(at, 2).c_str(), nullptr, 16));
      std::istringstream words(line.substr(colon + 1));
      const Ids wanted{std::istream_iterator<Token>(words), {}};
      EXPECT_EQ(tokenizer->encode(text, Place::kBegin), wanted) << name << " " << line;
    }
    EXPECT_GT(texts, 30U);
  }
}

TEST(SentencePiece, WithoutBytePiecesGivesTheUnknownId) {
  const auto tokenizer = open(piece("<unk>", 0, 2) + piece("a", -1) + specs());
  EXPECT_EQ(tokenizer->encode("axa", Place::kWithin), (Ids{1, 0, 1}));
}

TEST(SentencePiece, KeepsUserDefinedPiecesWhole) {
  const auto tokenizer = open(piece("<unk>", 0, 2) + piece("a", -1) + piece("aa", -2) +
                              piece("a<x>", -1) + piece("<x>", 0, 4) + specs());
  EXPECT_EQ(tokenizer->encode("aa<x>a", Place::kWithin), (Ids{2, 4, 1}));
}

TEST(SentencePiece, RefusesWhatItWouldEncodeWrongly) {
  const auto kind = [](const std::string& model) {
    return parse_sentencepiece(bytes_of(model)).error().kind();
  };
  const std::string unk = piece("<unk>", 0, 2);
  EXPECT_EQ(kind(unk + specs(1)), Kind::kUnsupported);
  EXPECT_EQ(kind(unk + piece("a", 0, 5) + specs()), Kind::kUnsupported);
  EXPECT_EQ(kind(unk + specs() + nested(3, nested(2, "table"))), Kind::kUnsupported);
  EXPECT_EQ(kind(specs()), Kind::kMalformed);
  EXPECT_EQ(kind(piece("a", 0) + specs()), Kind::kMalformed);
  EXPECT_EQ(kind(unk + unk + specs()), Kind::kMalformed);
  EXPECT_EQ(kind(unk + piece("a", 0, 9) + specs()), Kind::kMalformed);
  EXPECT_EQ(kind(unk + piece("<0xGG>", 0, 6) + specs()), Kind::kMalformed);
  const std::string whole = small_model();
  for (std::size_t cut = 1; cut < 200; ++cut)  // no cut may crash; most are refused
    static_cast<void>(parse_sentencepiece(bytes_of(whole).first(whole.size() - cut)));
}

TEST(ByteTokenizer, IsItsOwnInverse) {
  const ByteTokenizer tokenizer;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(all, Place::kBegin)), all);
}

TEST(Tokenize, CutsShardsAndEndsDocuments) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "text");
  std::ofstream(folder.path() / "text/b.txt") << "world";
  std::ofstream(folder.path() / "text/a.txt") << "hello\nhello";
  const auto report = tokenize(ByteTokenizer{}, {.inputs = {folder.path() / "text"},
                                                 .out = folder.path() / "shards",
                                                 .name = "part",
                                                 .shard_tokens = 10});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->files, 2U);
  EXPECT_EQ(report->tokens, 18U);
  EXPECT_EQ(report->shards, 2U);
  std::string read;
  for (const char* name : {"part_000000.bin", "part_000001.bin"}) {
    const auto shard = ShardReader::open(folder.path() / "shards" / name);
    ASSERT_TRUE(shard) << shard.error().message();
    Ids ids(shard->layout().tokens);
    ASSERT_TRUE(shard->read(0, ids));
    read += ByteTokenizer{}.decode(ids);
  }
  EXPECT_EQ(read, std::string("hello\nhello\0world\0", 18));
}

class Listening final : public Tokenizer {
 public:
  std::uint64_t vocab() const override { return 2; }
  std::vector<Token> encode(std::string_view text, Place) const override {
    heard.emplace_back(text);
    return {1};
  }
  std::string decode(std::span<const Token>) const override { return ""; }
  std::optional<Token> document_end() const override { return std::nullopt; }
  mutable std::vector<std::string> heard;
};

TEST(Tokenize, CutsALongLineBetweenCharactersAndBeforeBlanks) {
  const TemporaryFolder folder;
  constexpr std::size_t kPiece = 4U << 20;
  const struct {
    std::string end;
    std::size_t read;  // of it in the first piece
    std::string second;
  } kRows[] = {
      {"\xe6\x97\xa5z", 1, "\xe6\x97\xa5z"},
      {"\xe6\x97\xa5z", 2, "\xe6\x97\xa5z"},
      {"\xe6\x97\xa5z", 3, "z"},
      {"\xf0\x9f\x98\x80z", 3, "\xf0\x9f\x98\x80z"},
      {"\xc3\xa9z", 1, "\xc3\xa9z"},
      {"x   y", 3, "   y"},
      {"\n  x", 2, "  x"},
  };
  for (const auto& row : kRows) {
    const std::string text = std::string(kPiece - row.read, 'x') + row.end;
    std::ofstream(folder.path() / "long.txt") << text;
    const Listening listening;
    ASSERT_TRUE(tokenize(
        listening, {.inputs = {folder.path() / "long.txt"}, .out = folder.path() / "shards"}));
    ASSERT_EQ(listening.heard.size(), 2U);
    EXPECT_EQ(listening.heard[1], row.second) << row.end << row.read;
    EXPECT_TRUE(listening.heard[0] + listening.heard[1] == text);
  }
}

TEST(Tokenize, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  const auto run = [&](const Path& input) {
    return tokenize(ByteTokenizer{}, {.inputs = {input}, .out = folder.path()}).error().kind();
  };
  EXPECT_EQ(run(folder.path() / "none"), Kind::kNotFound);
  std::ofstream(folder.path() / "empty");
  EXPECT_EQ(run(folder.path() / "empty"), Kind::kUsage);
}

}  // namespace
}  // namespace longhaul::trainer
