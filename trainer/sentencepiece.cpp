#include "trainer/sentencepiece.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <queue>
#include <unordered_map>

namespace longhaul::trainer {
namespace {

constexpr const char* kAttempt = "read a SentencePiece model";
constexpr std::string_view kBlank = "\xe2\x96\x81";        // U+2581, how the model spells a blank
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD, for each byte that is no UTF-8

tl::unexpected<Error> malformed(const char* why) {
  return fail(Kind::kMalformed, kAttempt, why);
}
tl::unexpected<Error> unsupported(const char* why) {
  return fail(Kind::kUnsupported, kAttempt, why);
}

struct Field {  // of a protocol buffer message
  std::uint64_t number = 0;
  std::uint64_t value = 0;  // varint, or the bits of a 32-bit or 64-bit value
  Bytes bytes;              // of a length-delimited one
  unsigned wire = 0;
};

class Message {
 public:
  explicit Message(Bytes rest) : rest_(rest) {}
  bool done() const { return rest_.empty(); }
  Result<Field> next() {
    Field field;
    const std::uint64_t key = TRY(varint());
    field.number = key >> 3;
    field.wire = static_cast<unsigned>(key & 7);
    if (field.number == 0) return malformed("a field without number");
    switch (field.wire) {
      case 0:
        field.value = TRY(varint());
        return field;
      case 1:
        field.value = load_le<std::uint64_t>(TRY(take(8)));
        return field;
      case 2: {
        const std::uint64_t size = TRY(varint());
        field.bytes = TRY(take(size));
        return field;
      }
      case 5:
        field.value = load_le<std::uint32_t>(TRY(take(4)));
        return field;
      default:
        return malformed("a field of unknown wire type");
    }
  }

 private:
  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const Bytes byte = TRY(take(1));
      value |= (std::to_integer<std::uint64_t>(byte[0]) & 0x7f) << shift;
      if ((byte[0] & std::byte{0x80}) == std::byte{}) return value;
    }
    return malformed("a number that does not end");
  }
  Result<Bytes> take(std::uint64_t size) {
    if (size > rest_.size()) return malformed("cut short");
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  Bytes rest_;
};

enum class PieceType : std::uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct Model {
  std::vector<Piece> pieces;
  std::uint64_t kind = 1;  // unigram, unless said otherwise
  std::uint64_t end_id = 2;
  bool dummy_prefix = true, collapse_blanks = true, escape_blanks = true;
};

Result<Piece> read_piece(Bytes bytes) {
  Piece piece;
  for (Message message(bytes); !message.done();) {
    const Field field = TRY(message.next());
    if (field.number == 1 && field.wire == 2) piece.text = std::string(text_of(field.bytes));
    if (field.number == 2 && field.wire == 5)
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    if (field.number == 3 && field.wire == 0) piece.type = static_cast<PieceType>(field.value);
  }
  if (piece.text.empty()) return malformed("an empty piece");
  if (piece.text.size() > kMaxPieceBytes) return fail(Kind::kLimit, kAttempt, "a piece too long");
  if (!std::isfinite(piece.score)) return malformed("a score that is no number");
  if (piece.type < PieceType::kNormal || piece.type > PieceType::kByte)
    return malformed("a piece of unknown type");
  if (piece.type == PieceType::kUnused) return unsupported("unused pieces");
  return piece;
}

Result<> read_trainer_spec(Bytes bytes, Model& model) {
  for (Message message(bytes); !message.done();) {
    const Field field = TRY(message.next());
    if (field.wire != 0) continue;
    if (field.number == 3) model.kind = field.value;
    if (field.number == 24 && field.value != 0) return unsupported("blanks as suffixes");
    if (field.number == 42) model.end_id = field.value;
  }
  return {};
}

Result<> read_normalizer_spec(Bytes bytes, Model& model) {
  for (Message message(bytes); !message.done();) {
    const Field field = TRY(message.next());
    if (field.number == 2 && !field.bytes.empty())
      return unsupported("a normalisation table other than identity");
    if (field.number == 3) model.dummy_prefix = field.value != 0;
    if (field.number == 4) model.collapse_blanks = field.value != 0;
    if (field.number == 5) model.escape_blanks = field.value != 0;
  }
  return {};
}

Result<Model> read_model(Bytes bytes) {
  Model model;
  for (Message message(bytes); !message.done();) {
    const Field field = TRY(message.next());
    if (field.wire != 2) continue;
    if (field.number == 1) {
      if (model.pieces.size() == kMaxPieces) return fail(Kind::kLimit, kAttempt, "too many pieces");
      model.pieces.push_back(TRY(read_piece(field.bytes)));
    }
    if (field.number == 2) TRY(read_trainer_spec(field.bytes, model));
    if (field.number == 3) TRY(read_normalizer_spec(field.bytes, model));
  }
  if (model.pieces.empty()) return malformed("no pieces");
  if (model.kind != 2) return unsupported("a model that is not BPE");
  if (!model.escape_blanks) return unsupported("blanks that are not escaped");
  return model;
}

std::size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// Bytes of the character that the text begins with; 0 where that is no UTF-8 (RFC 3629).
std::size_t character_at(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t bytes = utf8_length(text[0]);
  if (first < 0xc0 || bytes > text.size()) return 0;
  std::uint32_t code = first & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0U) != 0x80) return 0;
    code = code << 6 | (next & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return first > 0xf4 || code < kLeast[bytes] || code > 0x10ffff || surrogate ? 0 : bytes;
}

class SentencePiece final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> make(Model model) {
    auto made = std::unique_ptr<SentencePiece>(new SentencePiece(std::move(model)));
    TRY(made->index());
    return std::unique_ptr<Tokenizer>(std::move(made));
  }
  std::uint64_t vocab() const override { return model_.pieces.size(); }
  std::optional<Token> document_end() const override { return end_; }
  std::vector<Token> encode(std::string_view text, Place place) const override {
    const std::string spelled = normalised(text, place);
    std::vector<Symbol> symbols = split(spelled);
    merge(symbols);
    std::vector<Token> out;
    for (const Symbol& symbol : symbols)
      if (!symbol.text.empty()) append_ids(symbol.text, out);
    return out;
  }
  std::string decode(std::span<const Token> tokens) const override;

 private:
  struct Symbol {
    std::string_view text;  // empty once joined to its left neighbour
    std::size_t previous, next;
    bool frozen;  // a user-defined piece: never joined
  };
  struct Pair {
    float score;
    std::size_t left, right, bytes;
    bool operator<(const Pair& other) const {  // for a heap whose top is joined first
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  explicit SentencePiece(Model model) : model_(std::move(model)) { bytes_.fill(kNone); }
  Result<> index();
  std::string normalised(std::string_view text, Place place) const;
  std::vector<Symbol> split(std::string_view text) const;
  void merge(std::vector<Symbol>& symbols) const;
  void append_ids(std::string_view text, std::vector<Token>& out) const;

  Model model_;
  std::unordered_map<std::string_view, Token> ids_;  // looked up, never walked
  std::array<std::size_t, 256> bytes_{};
  std::size_t longest_user_piece_ = 0;
  std::optional<Token> unknown_, end_;
};

Result<> SentencePiece::index() {
  for (std::size_t i = 0; i < model_.pieces.size(); ++i) {
    const Piece& piece = model_.pieces[i];
    const auto id = static_cast<Token>(i);
    if (!ids_.emplace(piece.text, id).second) return malformed("a piece that stands twice");
    if (piece.type == PieceType::kUnknown) unknown_ = id;
    if (piece.type == PieceType::kUserDefined)
      longest_user_piece_ = std::max(longest_user_piece_, piece.text.size());
    if (piece.type != PieceType::kByte) continue;
    std::size_t byte = 0;
    for (; byte < 256; ++byte)
      if (piece.text == fmt::format("<0x{:02X}>", byte)) break;
    if (byte == 256) return malformed("a byte piece that names no byte");
    bytes_.at(byte) = i;
  }
  if (!unknown_) return malformed("no unknown piece");
  if (model_.end_id < model_.pieces.size() &&
      model_.pieces[model_.end_id].type == PieceType::kControl)
    end_ = static_cast<Token>(model_.end_id);
  return {};
}

// As the library's normalizer.cc does with identity for a table.
std::string SentencePiece::normalised(std::string_view text, Place place) const {
  const bool begins = place == Place::kBegin;
  if (begins && model_.collapse_blanks)
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::string out;
  if (text.empty()) return out;  // blanks alone are no text: nothing stands before it
  out.reserve(text.size() + text.size() / 4 + kBlank.size());
  if (begins && model_.dummy_prefix) out += kBlank;
  bool after_blank = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      if (!after_blank) out += kBlank;
      after_blank = model_.collapse_blanks;
      ++at;
      continue;
    }
    const std::size_t bytes = character_at(text.substr(at));
    out += bytes == 0 ? kReplacement : text.substr(at, bytes);
    at += std::max<std::size_t>(bytes, 1);
    after_blank = false;
  }
  while (model_.collapse_blanks && out.ends_with(kBlank)) out.resize(out.size() - kBlank.size());
  return out;
}

std::vector<SentencePiece::Symbol> SentencePiece::split(std::string_view text) const {
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t bytes = std::min(utf8_length(text[at]), text.size() - at);
    bool frozen = false;
    for (std::size_t n = std::min(longest_user_piece_, text.size() - at); n > 0; --n) {
      const auto found = ids_.find(text.substr(at, n));
      if (found == ids_.end() || model_.pieces[found->second].type != PieceType::kUserDefined)
        continue;
      bytes = n;
      frozen = true;
      break;
    }
    const std::size_t i = symbols.size();
    symbols.push_back({text.substr(at, bytes), i == 0 ? kNone : i - 1, i + 1, frozen});
    at += bytes;
  }
  if (!symbols.empty()) symbols.back().next = kNone;
  return symbols;
}

void SentencePiece::merge(std::vector<Symbol>& symbols) const {
  std::priority_queue<Pair> pairs;
  const auto consider = [&](std::size_t left, std::size_t right) {
    if (left == kNone || right == kNone || symbols[left].frozen || symbols[right].frozen) return;
    // Neighbours lie side by side in the text, so the pair is one view.
    const std::string_view joined(symbols[left].text.data(),
                                  symbols[left].text.size() + symbols[right].text.size());
    const auto found = ids_.find(joined);
    if (found == ids_.end() || model_.pieces[found->second].type != PieceType::kNormal) return;
    pairs.push({model_.pieces[found->second].score, left, right, joined.size()});
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) consider(i - 1, i);
  while (!pairs.empty()) {
    const Pair best = pairs.top();
    pairs.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.text.empty() || right.text.empty() ||
        left.text.size() + right.text.size() != best.bytes)
      continue;  // one of them has been joined to another since
    left.text = std::string_view(left.text.data(), best.bytes);
    right.text = {};
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
}

void SentencePiece::append_ids(std::string_view text, std::vector<Token>& out) const {
  const auto found = ids_.find(text);
  if (found != ids_.end()) {
    const PieceType type = model_.pieces[found->second].type;
    if (type == PieceType::kNormal || type == PieceType::kUserDefined)
      return out.push_back(found->second);
  }
  const bool spelled = std::all_of(text.begin(), text.end(), [&](char c) {
    return bytes_[static_cast<unsigned char>(c)] != kNone;
  });
  if (!spelled) return out.push_back(*unknown_);
  for (const char c : text)
    out.push_back(static_cast<Token>(bytes_[static_cast<unsigned char>(c)]));
}

std::string SentencePiece::decode(std::span<const Token> tokens) const {
  std::string out;
  for (const Token token : tokens) {
    if (token >= model_.pieces.size()) continue;
    const Piece& piece = model_.pieces[token];
    if (piece.type == PieceType::kByte) {
      const auto byte = std::find(bytes_.begin(), bytes_.end(), std::size_t{token});
      out += static_cast<char>(byte - bytes_.begin());
    } else if (piece.type == PieceType::kUnknown) {
      out += " \xe2\x81\x87 ";  // as the library writes it
    } else if (piece.type != PieceType::kControl) {
      std::string_view rest = piece.text;
      for (auto at = rest.find(kBlank); at != std::string_view::npos; at = rest.find(kBlank)) {
        out.append(rest.substr(0, at)).push_back(' ');
        rest.remove_prefix(at + kBlank.size());
      }
      out += rest;
    }
  }
  if (model_.dummy_prefix && !out.empty() && out.front() == ' ') out.erase(0, 1);
  return out;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> parse_sentencepiece(Bytes model) {
  if (model.size() > kMaxSentencePieceBytes) return fail(Kind::kLimit, kAttempt, "too large");
  return SentencePiece::make(TRY(read_model(model)));
}

}  // namespace longhaul::trainer
