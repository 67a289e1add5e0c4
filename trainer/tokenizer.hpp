// Tokenizer: text to token ids and back. Two kinds: bytes (256 ids, id = byte, 0 ends a document)
// and SentencePiece BPE models read from their .model file (sentencepiece.hpp). Immutable; any
// thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/shard.hpp"

namespace longhaul::trainer {

// Whether a text begins a document or goes on within one (SentencePiece puts a blank before the
// former only).
enum class Place : std::uint8_t { kBegin, kWithin };

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::uint64_t vocab() const = 0;
  // Ids of the text alone: no begin or end mark is added.
  virtual std::vector<Token> encode(std::string_view text, Place place) const = 0;
  virtual std::string decode(std::span<const Token> tokens) const = 0;
  virtual std::optional<Token> document_end() const = 0;
};

class ByteTokenizer final : public Tokenizer {
 public:
  std::uint64_t vocab() const override { return 256; }
  std::vector<Token> encode(std::string_view text, Place place) const override;
  std::string decode(std::span<const Token> tokens) const override;
  std::optional<Token> document_end() const override { return 0; }
};

// "bytes", or the path of a SentencePiece model.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& name);

struct TokenizeOptions {
  std::vector<Path> inputs;  // text files, or folders of them, walked in the order of their names
  Path out;                  // folder for NAME_000000.bin ..; made if missing
  std::string name = "shard";
  std::uint64_t shard_tokens = 100'000'000;
};
struct TokenizeReport {
  std::uint64_t files = 0, bytes = 0, tokens = 0, shards = 0;
};
// One document a file, each ended by document_end() where the tokenizer has one. Files are read a
// piece at a time and cut at line ends, so that a corpus of any size fits in memory.
Result<TokenizeReport> tokenize(const Tokenizer& tokenizer, const TokenizeOptions& options);

}  // namespace longhaul::trainer
