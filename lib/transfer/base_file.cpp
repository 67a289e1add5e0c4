#include "lib/transfer/base_file.hpp"

namespace longhaul::transfer {

namespace {
std::uint64_t begin_of(const store::Piece& chunk) {
  return std::hash<crypto::Digest>{}(chunk.chunk);
}
}  // namespace

BaseFile::BaseFile(std::vector<store::Piece> pieces) : pieces_(std::move(pieces)) {
  for (std::uint32_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].hole || first_of(pieces_[i])) continue;
    first_of_.add(begin_of(pieces_[i]), i,
                  [this](std::uint32_t n) { return begin_of(pieces_[n]); });
  }
}

std::optional<std::uint32_t> BaseFile::first_of(const store::Piece& chunk) const {
  return first_of_.find(begin_of(chunk), [&](std::uint32_t n) { return pieces_[n] == chunk; });
}

std::optional<std::uint64_t> BaseFile::place_of(const store::Piece& piece) {
  if (next_ < pieces_.size() && pieces_[next_] == piece) return next_++;
  if (piece.hole) return std::nullopt;
  const auto first = first_of(piece);
  if (!first) return std::nullopt;
  next_ = *first + std::size_t{1};
  return *first;
}

}  // namespace longhaul::transfer
