#include "proxy/source_scan.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "lib/base/escape.hpp"
#include "lib/crypto/digest.hpp"
#include "lib/store/timed_files.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kEntriesPerStep = 5'000;

class ScanStep final : public Work {
 public:
  explicit ScanStep(store::Scan& scan) : scan_(scan) {}
  void run() override { result = scan_.next(kEntriesPerStep); }
  Result<std::vector<store::ScanItem>> result;

 private:
  store::Scan& scan_;
};

struct Opened {
  std::shared_ptr<io::PosixFiles> files;
  store::ScanOptions options;
  std::string path;  // absolute, without links
  std::string top;   // the folder that `files` is rooted at
};

Result<Opened> open_source(ScanRequest request) {
  const std::string attempt = "push " + printable(request.source);
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(request.source.c_str(), nullptr),
                                                   &std::free);
  if (!real)
    return fail(Error(Error::kind_of_errno(errno), attempt, errno).advise("check its path"));
  Opened out;
  out.path = real.get();
  struct ::stat status {};
  if (::stat(out.path.c_str(), &status) != 0) return fail_errno(attempt, errno);
  out.options.rules = std::move(request.rules);
  if (!request.only.empty()) out.options.only = std::move(request.only);
  if (S_ISDIR(status.st_mode)) {
    out.top = out.path;
  } else if (S_ISREG(status.st_mode)) {
    const std::size_t slash = out.path.rfind('/');
    out.top = slash == 0 ? "/" : out.path.substr(0, slash);
    out.options.only = {TRY(store::TreeName::parse(out.path.substr(slash + 1)))};
  } else {
    return fail(Error(Kind::kUsage, attempt, "it is neither a folder nor a file")
                    .advise("push a folder, or one file"));
  }
  out.files = TRY(io::PosixFiles::at(out.top));
  return out;
}

transfer::Row row_of(store::ScanItem item) {
  transfer::Row row;
  row.entry = std::move(item.entry);
  row.pieces = std::move(item.pieces);
  row.hashed = item.known;
  row.seen = item.seen;
  return row;
}

io::Task<Result<>> walk(App& app, store::Scan& scan, transfer::Rows& rows, const bool& stopped) {
  while (!stopped) {
    Job job{JobId(1), JobClass::kDisk, std::make_unique<ScanStep>(scan)};
    const Job done = co_await app.env.work(std::move(job));
    auto& items = done.as<ScanStep>().result;
    if (!items) co_return fail(items.error());
    if (items->empty()) co_return Result<>();
    for (store::ScanItem& item : *items) rows.push_back(row_of(std::move(item)));
  }
  co_return fail(Kind::kInterrupted, "walk the source", "it was stopped");
}

}  // namespace

io::Task<Result<ScannedSource>> scan_source(App& app, ScanRequest request) {
  Result<Opened> opened = open_source(std::move(request));
  if (!opened) co_return fail(opened.error());
  auto state = private_folder(app.home.state);
  if (!state) co_return fail(state.error());
  ScannedSource out;
  out.started = app.env.wall();
  const std::string id = crypto::sha256(bytes_of(opened->path)).hex();
  out.cache = store::TreeName::known("scans").child(id.substr(0, 32)).value();
  out.source = std::make_shared<transfer::Source>();
  out.source->files = std::make_shared<store::TimedFiles>(opened->files, app.stages);
  out.top = opened->top;
  store::ScanCacheReader cache = store::ScanCacheReader::open(**state, out.cache);
  store::Scan scan(*out.source->files, std::move(opened->options), &cache);
  bool stopped = false;
  app.when_stopped([&stopped] { stopped = true; });
  const Result<> walked = co_await walk(app, scan, out.source->rows, stopped);
  app.on_stop = nullptr;
  if (!walked) co_return fail(walked.error());
  out.problems = scan.problems();
  out.problem_count = scan.problem_count();
  co_return out;
}

void keep_scan(const App& app, const ScannedSource& scanned) {
  const auto state = private_folder(app.home.state);
  if (!state) return;
  static_cast<void>(store::make_folders(**state, scanned.cache.parent()));
  auto writer = store::ScanCacheWriter::open(**state, scanned.cache, scanned.started);
  if (!writer) return;
  const transfer::Rows& rows = scanned.source->rows;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows.is_file(row) || !rows.hashed(row)) continue;
    if (!writer->add(rows.name(row), rows.seen(row), rows.pieces(row))) return;
  }
  static_cast<void>(writer->finish());
}

}  // namespace longhaul::proxy
