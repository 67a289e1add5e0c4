// SqliteIndex: store::ChunkIndex in one SQLite file, on a local disk (never on NFS or Lustre:
// --state DIR). Additions gather in bounded transactions and survive the process after flush(). A
// file that is damaged or of another form is thrown away and begun anew: it is a cache, and a
// rebuild (store::rebuild_index) restores it. Thread-safe: one connection behind one mutex.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "lib/store/chunk_index.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace longhaul::io {

class SqliteIndex final : public store::ChunkIndex {
 public:
  // `was_lost` tells that nothing was there, that what was there had to be thrown away, or that a
  // rebuild of it did not come to its end.
  struct Opened {
    std::unique_ptr<SqliteIndex> index;
    bool was_lost = false;
  };
  static Result<Opened> open(const std::string& path);
  ~SqliteIndex() override;

  Result<> add(const store::TreeName& file, std::span<const store::Piece> pieces) override;
  Result<std::optional<store::ChunkPlace>> find(const store::ChunkId& chunk) override;
  Result<> forget_under(const store::TreeName& folder) override;
  Result<> clear() override;  // mends a file that is damaged, too
  Result<> finish_rebuild() override;
  Result<> flush() override;
  Result<std::uint64_t> size() override;

 private:
  struct Close {
    void operator()(sqlite3* db) const noexcept;
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  using Db = std::unique_ptr<sqlite3, Close>;
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;
  explicit SqliteIndex(Db db) : db_(std::move(db)) {}
  static Result<std::unique_ptr<SqliteIndex>> connect(const std::string& path);
  static void unlink(const std::string& path);
  Result<> run(const char* sql);
  Result<Statement> prepare(const char* sql);
  Result<> step(sqlite3_stmt* statement);
  Result<> begin();
  Result<> commit();
  tl::unexpected<Error> failed(const char* attempt) const;

  std::mutex mutex_;
  std::string path_;
  Db db_;
  bool whole_ = false;  // as the file says: a rebuild has come to its end
  Statement add_file_, find_file_, add_chunk_, find_chunk_;
  std::uint64_t in_transaction_ = 0;  // additions since it began; 0: none is open
};

}  // namespace longhaul::io
