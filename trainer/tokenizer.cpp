#include "trainer/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "lib/base/escape.hpp"
#include "trainer/sentencepiece.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kPieceBytes = 4U << 20;

class ShardSequence {  // one shard after the other, cut at shard_tokens
 public:
  ShardSequence(const TokenizeOptions& options, std::uint64_t vocab)
      : options_(options), vocab_(vocab) {}

  Result<> append(std::span<const Token> tokens) {
    while (!tokens.empty()) {
      if (!writer_) TRY(begin());
      const std::uint64_t room = options_.shard_tokens - writer_->tokens();
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(room, tokens.size()));
      TRY(writer_->append(tokens.first(take)));
      tokens = tokens.subspan(take);
      if (writer_->tokens() == options_.shard_tokens) TRY(finish());
    }
    return {};
  }
  Result<> finish() {
    if (!writer_) return {};
    TRY(writer_->finish());
    writer_.reset();
    ++shards_;
    return {};
  }
  std::uint64_t shards() const { return shards_; }

 private:
  Result<> begin() {
    writer_.emplace(TRY(ShardWriter::create(
        options_.out / fmt::format("{}_{:06}.bin", options_.name, shards_), vocab_)));
    return {};
  }
  const TokenizeOptions& options_;
  std::uint64_t vocab_;
  std::optional<ShardWriter> writer_;
  std::uint64_t shards_ = 0;
};

Result<std::vector<Path>> files_of(const std::vector<Path>& inputs) {
  std::vector<Path> files;
  for (const Path& input : inputs) {
    std::error_code error;
    if (!std::filesystem::is_directory(input, error)) {
      files.push_back(input);
      continue;
    }
    std::vector<Path> found;
    std::filesystem::recursive_directory_iterator walk(input, error), end;
    for (; !error && walk != end; walk.increment(error))
      if (walk->is_regular_file(error) && !error) found.push_back(walk->path());
    if (error) return fail_errno("walk " + printable(input.native()), error.value());
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

// Where text that goes on is cut. A line end is where no tokenizer of ours joins pieces. A line
// over kPieceBytes is cut before a character that is not whole yet, and not behind a blank: at a
// text's end some tokenizers drop it.
std::size_t cut_of(std::string_view held) {
  if (const auto line = held.rfind('\n'); line != std::string_view::npos) return line + 1;
  std::size_t cut = held.size();
  for (std::size_t n = 1; n <= std::min<std::size_t>(3, held.size()); ++n) {
    const auto byte = static_cast<unsigned char>(held[held.size() - n]);
    if ((byte & 0xc0U) == 0x80) continue;
    if (byte >= (n == 1 ? 0xc0 : n == 2 ? 0xe0 : 0xf0)) cut -= n;
    break;
  }
  const auto last = held.substr(0, cut).find_last_not_of(' ');
  return last == std::string_view::npos ? held.size() : last + 1;
}

Result<std::uint64_t> tokenize_file(const Tokenizer& tokenizer, const Path& path,
                                    ShardSequence& shards, TokenizeReport& report) {
  const File file = TRY(File::open_to_read(path));
  const std::uint64_t bytes = TRY(file.size());
  std::string held;
  Place place = Place::kBegin;
  for (std::uint64_t at = 0; at < bytes;) {
    const std::uint64_t take = std::min(kPieceBytes, bytes - at);
    const std::size_t old = held.size();
    held.resize(old + take);
    TRY(file.read_at(at, std::as_writable_bytes(std::span(held.data() + old, take))));
    at += take;
    const std::size_t cut = at < bytes ? cut_of(held) : held.size();
    const auto ids = tokenizer.encode(std::string_view(held).substr(0, cut), place);
    place = Place::kWithin;
    TRY(shards.append(ids));
    report.tokens += ids.size();
    held.erase(0, cut);
  }
  if (const auto end = tokenizer.document_end(); end && bytes > 0) {
    TRY(shards.append({&*end, 1}));
    ++report.tokens;
  }
  return bytes;
}

}  // namespace

std::vector<Token> ByteTokenizer::encode(std::string_view text, Place) const {
  std::vector<Token> out;
  out.reserve(text.size());
  for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

std::string ByteTokenizer::decode(std::span<const Token> tokens) const {
  std::string out;
  for (const Token token : tokens) out += static_cast<char>(static_cast<unsigned char>(token));
  return out;
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& name) {
  if (name == "bytes") return std::unique_ptr<Tokenizer>(std::make_unique<ByteTokenizer>());
  const std::string model = TRY(read_text(name, kMaxSentencePieceBytes));
  auto tokenizer = parse_sentencepiece(bytes_of(model));
  if (!tokenizer)
    return fail_in(name, tokenizer.error(),
                   tokenizer.error().kind() == Kind::kUnsupported
                       ? "take a BPE model that normalises nothing, as LLaMA's"
                       : "give --tokenizer the .model file that SentencePiece wrote");
  return tokenizer;
}

Result<TokenizeReport> tokenize(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  if (options.shard_tokens == 0) return fail(Kind::kUsage, "tokenize", "shards of no tokens");
  TokenizeReport report;
  TRY(make_folders(options.out));
  ShardSequence shards(options, tokenizer.vocab());
  const std::vector<Path> files = TRY(files_of(options.inputs));
  for (const Path& path : files) {
    report.bytes += TRY(tokenize_file(tokenizer, path, shards, report));
    ++report.files;
  }
  TRY(shards.finish());
  report.shards = shards.shards();
  if (report.tokens == 0)
    return fail(Error(Kind::kUsage, "tokenize", "the input holds no text")
                    .advise("give text files, or folders of them, as --input"));
  return report;
}

}  // namespace longhaul::trainer
