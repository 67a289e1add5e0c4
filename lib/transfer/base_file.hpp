// BaseFile: what of one file stands in the base's file of the same name, so that a manifest names
// runs of its pieces instead of each. Asked for the file's pieces in their order; a value.
//
//   BaseFile file(base_pieces);
//   for (const Piece& piece : now) use(piece, file.place_of(piece));
#pragma once

#include <optional>
#include <vector>

#include "lib/base/number_table.hpp"
#include "lib/store/entry.hpp"

namespace longhaul::transfer {

class BaseFile {
 public:
  BaseFile() = default;  // nothing stands in it
  explicit BaseFile(std::vector<store::Piece> pieces);
  // Behind the one asked for before if it goes on like that there, else wherever the chunk is
  // first; nullopt: nowhere.
  std::optional<std::uint64_t> place_of(const store::Piece& piece);

 private:
  std::optional<std::uint32_t> first_of(const store::Piece& chunk) const;
  std::vector<store::Piece> pieces_;
  NumberTable first_of_;  // of pieces_, by the first bytes of the id
  std::size_t next_ = 0;
};

}  // namespace longhaul::transfer
