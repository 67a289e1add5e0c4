// SentencePiece BPE models: the .model file (a protocol buffer) read by hand, and its merge rule:
// of all neighbouring symbols whose concatenation is a piece, the one with the highest score is
// joined first, leftmost on a tie (Kudo and Richardson 2018; bpe_model in its source). What is left
// unknown becomes byte pieces where the model has them, else the unknown id. A byte that is no
// UTF-8 becomes U+FFFD before that, as in the library; ids are compared with its own
// (tests/golden/sentencepiece). Pure.
#pragma once

#include <memory>

#include "lib/base/bytes.hpp"
#include "trainer/tokenizer.hpp"

namespace longhaul::trainer {

inline constexpr std::uint64_t kMaxSentencePieceBytes = 64U << 20;
inline constexpr std::size_t kMaxPieces = 1U << 20;
inline constexpr std::size_t kMaxPieceBytes = 4096;

// kMalformed for what is no such file; kUnsupported for unigram models, a normalisation table other
// than identity, blanks as suffixes and unused pieces: encoding those another way would give wrong
// ids without a word.
Result<std::unique_ptr<Tokenizer>> parse_sentencepiece(Bytes model);

}  // namespace longhaul::trainer
