#include "lib/checkpoint/serve.hpp"

#include <fmt/format.h>

#include <deque>

#include "lib/base/escape.hpp"
#include "lib/checkpoint/announced.hpp"
#include "lib/checkpoint/checkpoint_files.hpp"
#include "lib/feed/run_files.hpp"
#include "lib/store/scan.hpp"

namespace longhaul::checkpoint {
namespace {

constexpr std::size_t kLinesPerPage = 64;  // each is a walk over a folder
constexpr std::uint64_t kLogStepBytes = 64U << 20;

class List final : public transfer::AskWork {
 public:
  List(store::Files& files, store::TreeName folder)
      : files_(files), folder_(std::move(folder)), reader_(files, folder_) {}
  void run() override {
    lines.clear();
    wire::Outcome outcome;
    if (const auto made = page(); !made) {
      outcome.failed = made.error().kind();
      outcome.text = printable(made.error().message(), wire::kReasonMax);
      last = outcome;
    } else if (read_ && left_.empty()) {
      last = outcome;
    }
  }

 private:
  Result<> page() {
    if (!read_) {
      read_ = TRY(reader_.step(kLogStepBytes)) == AnnouncedReader::Progress::kDone;
      if (!read_) return {};
      for (Announced& one : reader_.take()) left_.push_back(std::move(one));
    }
    for (std::size_t looked = 0; looked < kLinesPerPage && !left_.empty(); ++looked) {
      const Announced one = std::move(left_.front());
      left_.pop_front();
      if (const auto folder = find_announced(files_, folder_, one.path))
        if (auto line = line_of(one, *folder)) lines.push_back(*std::move(line));
    }
    return {};
  }

  // nullopt: it cannot be read, or is none.
  std::optional<wire::Line> line_of(const Announced& one, const store::TreeName& folder) {
    wire::Line line;
    line.name = folder.text().substr(folder_.text().size() + 1);
    line.version = one.step;
    line.mode = one.attempt;
    line.time_ns = one.at.ns;
    store::ScanOptions options;
    options.top = folder;
    options.ignore_files = false;
    store::Scan scan(files_, options, nullptr);
    for (;;) {
      const auto items = scan.next(kCheckpointNamesMax);
      if (!items) return std::nullopt;
      if (items->empty()) break;
      for (const store::ScanItem& item : *items) {
        if (item.entry.type != store::EntryType::kFile) continue;
        if (is_of_mark(item.entry.name)) continue;
        ++line.files;
        line.bytes += item.entry.size;
      }
      if (line.files > kCheckpointNamesMax) break;
    }
    return line.files > 0 ? std::optional(line) : std::nullopt;
  }

  store::Files& files_;
  const store::TreeName folder_;
  AnnouncedReader reader_;
  bool read_ = false;
  std::deque<Announced> left_;
};

// What the run's program cannot be told otherwise: it may delete what it likes, at any time. Where
// the mark cannot be set (another user's folder) the checkpoint is sent all the same.
store::TreeName mark_of(const store::TreeName& folder) {
  return folder.child(std::string(kPendingHome)).value();
}
void mark_pending(store::Files& files, const store::TreeName& folder) {
  constexpr std::string_view kWords = "a laptop fetches this; gone once it is there\n";
  if (files.stat(mark_of(folder))) return;
  if (store::write_whole(files, mark_of(folder), bytes_of(kWords))) return;
  (void)files.remove(folder.child(std::string(kMarkUnfinished)).value());
}

class Fetch final : public transfer::FetchWork {
 public:
  Fetch(store::Files& files, store::TreeName folder, wire::FetchCheckpoint fetch)
      : files_(files), folder_(std::move(folder)), fetch_(std::move(fetch)) {}
  void run() override {
    if (auto opened = open(); !opened) error = opened.error();
  }

 private:
  Result<> open() {
    AnnouncedReader reader(files_, folder_);
    while (TRY(reader.step(kLogStepBytes)) == AnnouncedReader::Progress::kMore) {
    }
    std::optional<store::TreeName> place;
    bool announced = false;
    for (const Announced& one : reader.take()) {
      if (one.step != fetch_.step) continue;
      announced = true;
      place = find_announced(files_, folder_, one.path);
    }
    if (!place)
      return fail(Kind::kNotFound, fmt::format("send the checkpoint of step {}", fetch_.step),
                  announced ? "its program has deleted it" : "none was announced");
    mark_pending(files_, *place);
    const auto opened =
        CheckpointFiles::open(files_, *place, fetch_.full ? Form::kFull : Form::kWeights);
    if (!opened) {
      (void)files_.remove(mark_of(*place));
      return fail(opened.error());
    }
    auto found = std::make_shared<transfer::Source>();
    found->files = *opened;
    for (const transfer::Row& row : (*opened)->rows()) found->rows.push_back(row);
    found->delivered = [&files = files_, mark = mark_of(*place)] { (void)files.remove(mark); };
    source = std::move(found);
    return {};
  }

  store::Files& files_;
  const store::TreeName folder_;
  const wire::FetchCheckpoint fetch_;
};

}  // namespace

Result<std::unique_ptr<transfer::AskWork>> list_checkpoints(store::Files& files,
                                                            const wire::Ask& ask) {
  return std::make_unique<List>(files, TRY(feed::run_folder(std::string_view(ask.dataset))));
}

Result<std::unique_ptr<transfer::FetchWork>> open_checkpoint(store::Files& files,
                                                             const wire::FetchCheckpoint& fetch) {
  return std::make_unique<Fetch>(files, TRY(feed::run_folder(std::string_view(fetch.run))), fetch);
}

}  // namespace longhaul::checkpoint
