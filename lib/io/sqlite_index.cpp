#include "lib/io/sqlite_index.hpp"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/escape.hpp"

namespace longhaul::io {

using store::ChunkId;
using store::ChunkPlace;
using store::TreeName;

namespace {

constexpr std::uint64_t kTransactionMax = 100'000;  // additions: about 6 MB of write-ahead log
// PRAGMA user_version; zero: new, or cleared and not yet rebuilt.
constexpr int kForm = 1;

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS files(id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS chunks(chunk BLOB PRIMARY KEY, file INTEGER NOT NULL,"
    " offset INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID;";

void bind_bytes(sqlite3_stmt* statement, int at, Bytes bytes) {
  // Held by the caller until the statement is reset.
  sqlite3_bind_blob64(statement, at, bytes.data(), bytes.size(), SQLITE_STATIC);
}

std::int64_t to_signed(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

class Reset {  // a prepared statement is ready for its next use
 public:
  explicit Reset(sqlite3_stmt* statement) : statement_(statement) {}
  ~Reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Reset(const Reset&) = delete;
  Reset& operator=(const Reset&) = delete;

 private:
  sqlite3_stmt* statement_;
};

}  // namespace

void SqliteIndex::Close::operator()(sqlite3* db) const noexcept {
  sqlite3_close_v2(db);
}
void SqliteIndex::Close::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

tl::unexpected<Error> SqliteIndex::failed(const char* attempt) const {
  const int code = sqlite3_errcode(db_.get());
  const Kind kind = code == SQLITE_FULL                               ? Kind::kNoSpace
                    : code == SQLITE_BUSY                             ? Kind::kBusy
                    : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? Kind::kIntegrity
                                                                      : Kind::kIo;
  return fail(kind, std::string(attempt) + " the chunk index",
              printable(sqlite3_errmsg(db_.get()), 200));
}

Result<std::unique_ptr<SqliteIndex>> SqliteIndex::connect(const std::string& path) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteIndex> index(new SqliteIndex(Db(raw)));
  if (opened != SQLITE_OK) return index->failed("open");
  index->path_ = path;
  sqlite3_busy_timeout(raw, 5000);
  // Who holds the root holds its index: locking anew for each look-up took as long as looking up.
  TRY(index->run("PRAGMA locking_mode=EXCLUSIVE"));
  Statement form = TRY(index->prepare("PRAGMA user_version"));
  if (sqlite3_step(form.get()) != SQLITE_ROW) return index->failed("open");
  const int found = sqlite3_column_int(form.get(), 0);
  index->whole_ = found == kForm;
  form.reset();
  if (found != 0 && found != kForm)
    return fail(Kind::kUnsupported, "open the chunk index", "it has another form");
  // NORMAL: a commit may be lost with power, never torn; for a cache that is enough.
  TRY(index->run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"));
  TRY(index->run(kSchema));
  index->add_file_ = TRY(index->prepare("INSERT OR IGNORE INTO files(path) VALUES(?1)"));
  index->find_file_ = TRY(index->prepare("SELECT id FROM files WHERE path=?1"));
  index->add_chunk_ = TRY(index->prepare(
      "INSERT OR REPLACE INTO chunks(chunk, file, offset, length) VALUES(?1, ?2, ?3, ?4)"));
  index->find_chunk_ = TRY(index->prepare(
      "SELECT path, offset, length FROM chunks JOIN files ON files.id=chunks.file WHERE chunk=?1"));
  return index;
}

Result<SqliteIndex::Opened> SqliteIndex::open(const std::string& path) {
  auto index = connect(path);
  if (index) {
    const bool was_lost = !(*index)->whole_;
    return Opened{*std::move(index), was_lost};
  }
  const Kind kind = index.error().kind();
  if (kind != Kind::kIntegrity && kind != Kind::kUnsupported) return fail(index.error());
  unlink(path);
  index = connect(path);
  if (!index) return fail(index.error());
  return Opened{*std::move(index), true};
}

void SqliteIndex::unlink(const std::string& path) {
  for (const char* part : {"", "-wal", "-shm"}) ::unlink((path + part).c_str());
}

SqliteIndex::~SqliteIndex() {
  (void)commit();  // what is lost here is only cached
}

Result<> SqliteIndex::run(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed("change");
  return {};
}

Result<SqliteIndex::Statement> SqliteIndex::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK)
    return failed("prepare");
  return Statement(statement);
}

Result<> SqliteIndex::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code != SQLITE_DONE && code != SQLITE_ROW) return failed("change");
  return {};
}

Result<> SqliteIndex::begin() {
  if (in_transaction_++ == 0) TRY(run("BEGIN IMMEDIATE"));
  if (in_transaction_ < kTransactionMax) return {};
  TRY(commit());
  in_transaction_ = 1;
  return run("BEGIN IMMEDIATE");
}

Result<> SqliteIndex::commit() {
  if (in_transaction_ == 0) return {};
  in_transaction_ = 0;
  auto committed = run("COMMIT");
  if (!committed) (void)run("ROLLBACK");
  return committed;
}

Result<> SqliteIndex::add(const TreeName& file, std::span<const store::Piece> pieces) {
  const std::lock_guard lock(mutex_);
  TRY(begin());
  {
    const Reset reset(add_file_.get());
    bind_bytes(add_file_.get(), 1, bytes_of(file.text()));
    TRY(step(add_file_.get()));
  }
  std::int64_t id = sqlite3_last_insert_rowid(db_.get());
  if (sqlite3_changes(db_.get()) == 0) {  // it is known
    const Reset reset(find_file_.get());
    bind_bytes(find_file_.get(), 1, bytes_of(file.text()));
    TRY(step(find_file_.get()));
    id = sqlite3_column_int64(find_file_.get(), 0);
  }
  std::uint64_t offset = 0;
  for (const store::Piece& piece : pieces) {
    if (!piece.hole) {
      TRY(begin());
      const Reset reset(add_chunk_.get());
      bind_bytes(add_chunk_.get(), 1, piece.chunk.bytes());
      sqlite3_bind_int64(add_chunk_.get(), 2, id);
      sqlite3_bind_int64(add_chunk_.get(), 3, to_signed(offset));
      sqlite3_bind_int64(add_chunk_.get(), 4, to_signed(piece.length));
      TRY(step(add_chunk_.get()));
    }
    offset += piece.length;
  }
  return {};
}

Result<std::optional<ChunkPlace>> SqliteIndex::find(const ChunkId& chunk) {
  const std::lock_guard lock(mutex_);
  const Reset reset(find_chunk_.get());
  bind_bytes(find_chunk_.get(), 1, chunk.bytes());
  const int code = sqlite3_step(find_chunk_.get());
  if (code == SQLITE_DONE) return std::optional<ChunkPlace>();
  if (code != SQLITE_ROW) return failed("read");
  const auto* path = static_cast<const char*>(sqlite3_column_blob(find_chunk_.get(), 0));
  const auto path_bytes = static_cast<std::size_t>(sqlite3_column_bytes(find_chunk_.get(), 0));
  const std::int64_t offset = sqlite3_column_int64(find_chunk_.get(), 1);
  const std::int64_t length = sqlite3_column_int64(find_chunk_.get(), 2);
  auto name = TreeName::parse(std::string_view(path, path_bytes));
  // A rotten row is no place: the chunk crosses the link again.
  if (!name || offset < 0 || length <= 0 || length > store::kChunkBytesMax)
    return std::optional<ChunkPlace>();
  return std::optional(ChunkPlace{*std::move(name), static_cast<std::uint64_t>(offset),
                                  static_cast<std::uint32_t>(length)});
}

Result<> SqliteIndex::forget_under(const TreeName& folder) {
  const std::lock_guard lock(mutex_);
  TRY(commit());
  // The paths below a folder lie between "folder/" and "folder0": '0' follows '/'.
  const std::string from = folder.text() + '/', to = folder.text() + '0';
  for (const char* sql :
       {"DELETE FROM chunks WHERE file IN (SELECT id FROM files WHERE path>=?1 AND path<?2)",
        "DELETE FROM files WHERE path>=?1 AND path<?2"}) {
    const Statement statement = TRY(prepare(sql));
    bind_bytes(statement.get(), 1, bytes_of(from));
    bind_bytes(statement.get(), 2, bytes_of(to));
    TRY(step(statement.get()));
  }
  return {};
}

Result<> SqliteIndex::clear() {
  const std::lock_guard lock(mutex_);
  (void)commit();
  // A new file: it mends damage, and costs less than emptying tables of millions of rows.
  for (Statement* statement : {&add_file_, &find_file_, &add_chunk_, &find_chunk_})
    statement->reset();
  db_.reset();
  unlink(path_);
  const auto fresh = TRY(connect(path_));
  db_ = std::move(fresh->db_);
  add_file_ = std::move(fresh->add_file_);
  find_file_ = std::move(fresh->find_file_);
  add_chunk_ = std::move(fresh->add_chunk_);
  find_chunk_ = std::move(fresh->find_chunk_);
  whole_ = false;
  return {};
}

Result<> SqliteIndex::finish_rebuild() {
  const std::lock_guard lock(mutex_);
  TRY(commit());
  TRY(run(("PRAGMA user_version=" + std::to_string(kForm)).c_str()));
  whole_ = true;
  return {};
}

Result<> SqliteIndex::flush() {
  const std::lock_guard lock(mutex_);
  return commit();
}

Result<std::uint64_t> SqliteIndex::size() {
  const std::lock_guard lock(mutex_);
  const Statement statement = TRY(prepare("SELECT count(*) FROM chunks"));
  TRY(step(statement.get()));
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 0));
}

}  // namespace longhaul::io
