// Hasher: turns files into pieces while the transfer runs. It walks the rows in order, hands out
// work (many small files, or one portion of a large one at a time) and fills the rows as it comes
// back, so that what is hashed can be sent before the rest is read. A value of the session's
// strand.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "lib/transfer/post.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/transfer/send_jobs.hpp"

namespace longhaul::transfer {

class Hasher {
 public:
  Hasher(std::shared_ptr<Source> source, StageClock* stages)
      : source_(std::move(source)), stages_(stages) {}

  // Work to do now, or nullopt: nothing left, or enough is out.
  std::optional<Task> next();
  struct Outcome {
    std::vector<std::uint32_t> changed;  // rows that are not what the walk saw
    std::optional<Error> error;
    std::uint64_t bytes = 0;  // of content hashed
  };
  Outcome take(HashWork& work);
  // Hashes these rows anew, as they are then.
  void again(const std::vector<std::uint32_t>& rows);
  // The content of a small file that was hashed a moment ago, from `offset`; nothing if it is not
  // at hand any more, nor once its last byte was asked for.
  Slice take_kept(std::uint32_t row, std::uint64_t offset, std::uint32_t length);
  std::size_t kept_bytes() const { return kept_bytes_; }
  bool done() const {
    return jobs_ == 0 && again_.empty() && large_.empty() && row_ == source_->rows.size();
  }

 private:
  void keep(std::uint32_t row, Slice content);
  void drop_kept(std::uint32_t row);
  HashWork::Item item_for(std::uint32_t row, bool look_anew) const;
  std::uint32_t round_of(std::uint32_t row) const;
  std::optional<std::uint32_t> next_row();

  std::shared_ptr<Source> source_;
  StageClock* stages_;
  std::size_t row_ = 0;  // no row below it is new to us
  std::vector<std::uint32_t> again_;
  std::vector<HashWork::Item> large_;  // the next portion of files under way
  std::map<std::uint32_t, std::uint32_t>
      rounds_;  // rows begun again; work of an older round is void
  std::size_t jobs_ = 0;
  std::map<std::uint32_t, Slice> kept_;  // by row
  std::size_t kept_bytes_ = 0;
};

}  // namespace longhaul::transfer
