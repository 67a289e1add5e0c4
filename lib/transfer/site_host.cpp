#include "lib/transfer/site_host.hpp"

#include <deque>

#include "lib/base/escape.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/collect.hpp"
#include "lib/transfer/version_sink.hpp"

namespace longhaul::transfer {

using store::DatasetName;
using store::VersionNo;

namespace {

constexpr std::size_t kLinesPerPage = 256;
constexpr std::uint64_t kAuditStepBytes = 64U << 20;

// The version asked for: the newest if none was named.
Result<VersionNo> find_version(store::Root& root, const DatasetName& dataset,
                               std::uint64_t wanted) {
  const auto versions = TRY(root.versions(dataset));
  if (versions.empty())
    return fail(Kind::kNotFound, "open " + dataset.text(), "there is no such dataset");
  if (wanted == 0) return versions.back();
  for (const VersionNo version : versions)
    if (version.value() == wanted) return version;
  return fail(Kind::kNotFound,
              "open " + dataset.text() + "@" +
                  (wanted <= 999'999 ? to_text(VersionNo(static_cast<std::uint32_t>(wanted)))
                                     : std::to_string(wanted)),
              "there is no such version; the newest is " + to_text(versions.back()));
}

class VersionFetch final : public FetchWork {
 public:
  VersionFetch(store::Root& root, DatasetName dataset, wire::Fetch fetch)
      : root_(root), dataset_(std::move(dataset)), fetch_(std::move(fetch)) {}
  void run() override {
    if (auto result = read(); !result) error = result.error();
  }

 private:
  Result<> read() {
    const VersionNo version = TRY(find_version(root_, dataset_, fetch_.version));
    const store::Tree tree = TRY(root_.tree(dataset_, version));
    auto found = std::make_shared<Source>();
    found->files = std::shared_ptr<store::Files>(std::shared_ptr<void>(), &root_.files());
    found->root = store::Root::folder_of(dataset_, version);
    for (store::TreeWalk walk(tree); walk.next();) {
      Row row;
      row.entry = walk.entry();
      if (row.is_file()) {
        row.pieces = walk.pieces();
        row.hashed = true;
      }
      found->rows.push_back(row);
    }
    if (fetch_.base) {
      const auto held = TRY(root_.find(dataset_, *fetch_.base));
      if (held) base = TRY(root_.tree(dataset_, *held));
    }
    source = std::move(found);
    return {};
  }
  store::Root& root_;
  const DatasetName dataset_;
  const wire::Fetch fetch_;
};

// Work that produces its lines page by page; the outcome comes with the last.
class PagedWork : public AskWork {
 public:
  void run() final {
    const auto more = page();
    if (!more) {
      wire::Outcome failed;
      failed.failed = more.error().kind();
      failed.text = printable(more.error().message(), wire::kReasonMax);
      last = failed;
    } else if (*more == Progress::kDone) {
      last = outcome_;
    }
  }

 protected:
  enum class Progress : std::uint8_t { kMore, kDone };
  virtual Result<Progress> page() = 0;
  wire::Outcome outcome_;
};

Result<> read_version(store::Root& root, const DatasetName& dataset, VersionNo version,
                      wire::Line& line) {
  const store::Tree tree = TRY(root.tree(dataset, version));
  line.files = tree.totals().files;
  line.bytes = tree.totals().bytes;
  line.time_ns = TRY(root.published_at(dataset, version)).ns;
  line.root = tree.root();
  return {};
}

// One that cannot be read is told as such: it must not hide the others.
wire::Line version_line(store::Root& root, const DatasetName& dataset, VersionNo version) {
  wire::Line line;
  line.name = dataset.text();
  line.version = version.value();
  const Result<> read = read_version(root, dataset, version, line);
  if (read) return line;
  line.note = printable(read.error().message(), wire::kReasonMax);
  return line;
}

class ListDatasets final : public PagedWork {
 public:
  explicit ListDatasets(store::Root& root) : root_(root) {}

 private:
  Result<Progress> page() override {
    if (!begun_) {
      for (auto& dataset : TRY(root_.datasets())) left_.push_back(std::move(dataset));
      begun_ = true;
    }
    for (std::size_t n = 0; n < kLinesPerPage && !left_.empty(); ++n) {
      const DatasetName dataset = std::move(left_.front());
      left_.pop_front();
      const auto versions = TRY(root_.versions(dataset));
      if (versions.empty()) continue;
      lines.push_back(version_line(root_, dataset, versions.back()));
    }
    return left_.empty() ? Progress::kDone : Progress::kMore;
  }
  store::Root& root_;
  std::deque<DatasetName> left_;
  bool begun_ = false;
};

class ListVersions final : public PagedWork {
 public:
  ListVersions(store::Root& root, DatasetName dataset)
      : root_(root), dataset_(std::move(dataset)) {}

 private:
  Result<Progress> page() override {
    const auto versions = TRY(root_.versions(dataset_));
    if (versions.empty())
      return fail(Kind::kNotFound, "list " + dataset_.text(), "there is no such dataset");
    for (std::size_t n = 0; n < kLinesPerPage && next_ < versions.size(); ++n, ++next_)
      lines.push_back(version_line(root_, dataset_, versions[next_]));
    return next_ >= versions.size() ? Progress::kDone : Progress::kMore;
  }
  store::Root& root_;
  const DatasetName dataset_;
  std::size_t next_ = 0;
};

class ListFiles final : public PagedWork {
 public:
  ListFiles(store::Root& root, DatasetName dataset, std::uint64_t version)
      : root_(root), dataset_(std::move(dataset)), version_(version) {}

 private:
  Result<Progress> page() override {
    if (!walk_) {
      const VersionNo version = TRY(find_version(root_, dataset_, version_));
      walk_.emplace(TRY(root_.tree(dataset_, version)));
      version_ = version.value();
    }
    for (std::size_t n = 0; n < kLinesPerPage; ++n) {
      if (!walk_->next()) return Progress::kDone;
      const store::Entry& entry = walk_->entry();
      wire::Line line;
      line.name = entry.name.text();
      line.type = static_cast<std::uint8_t>(entry.type);
      line.mode = entry.mode;
      line.version = version_;
      line.bytes = entry.size;
      line.time_ns = entry.mtime.ns;
      line.note = printable(entry.target, wire::kReasonMax);
      if (entry.type == store::EntryType::kFile) line.root = store::content_hash(walk_->pieces());
      lines.push_back(std::move(line));
    }
    return Progress::kMore;
  }
  store::Root& root_;
  const DatasetName dataset_;
  std::uint64_t version_;
  std::optional<store::TreeWalk> walk_;
};

class Verify final : public PagedWork {
 public:
  Verify(store::Root& root, DatasetName dataset, std::uint64_t version, bool sums)
      : root_(root), dataset_(std::move(dataset)), version_(version), sums_(sums) {}

 private:
  Result<Progress> page() override {
    if (!audit_) TRY(begin());
    const bool room = found_.size() < kLinesPerPage;
    // A step may find many more than a page holds: they are told before the next one.
    if (room && more_) more_ = audit_->step(kAuditStepBytes) == store::Audit::Progress::kMore;
    tell_damage();
    while (!found_.empty() && lines.size() < kLinesPerPage) {
      lines.push_back(std::move(found_.front()));
      found_.pop_front();
    }
    outcome_.files = tree_.totals().files;
    outcome_.bytes = audit_->bytes_read();
    outcome_.bad = audit_->damaged();
    if (more_ || !found_.empty()) return Progress::kMore;
    if (outcome_.bad > 0) {
      outcome_.failed = Kind::kIntegrity;
      outcome_.text = std::to_string(outcome_.bad) + " files are damaged: push the dataset again";
    }
    return Progress::kDone;
  }

  Result<> begin() {
    const VersionNo version = TRY(find_version(root_, dataset_, version_));
    tree_ = TRY(root_.tree(dataset_, version));
    store::Audit::Sum tell;
    if (sums_) {
      tell = [this](const store::TreeName& name, const crypto::Digest& sum) {
        wire::Line line;
        line.name = name.text();
        line.root = sum;
        found_.push_back(std::move(line));
      };
    }
    audit_.emplace(root_.files(), tree_, store::Root::folder_of(dataset_, version), tell);
    return {};
  }

  void tell_damage() {
    for (const auto& damage = audit_->damage(); told_ < damage.size(); ++told_) {
      wire::Line line;
      line.name = damage[told_].name.text();
      line.note = printable(damage[told_].error.message(), wire::kReasonMax);
      found_.push_back(std::move(line));
    }
  }

  store::Root& root_;
  const DatasetName dataset_;
  const std::uint64_t version_;
  const bool sums_;
  store::Tree tree_;
  std::optional<store::Audit> audit_;
  std::deque<wire::Line> found_;  // not told yet
  std::size_t told_ = 0;
  bool more_ = true;
};

class Rebuild final : public PagedWork {
 public:
  Rebuild(store::Root& root, store::ChunkIndex& index) : root_(root), index_(index) {}

 private:
  Result<Progress> page() override {
    if (!rebuilt_) {
      rebuilt_ = TRY(store::rebuild_index(root_, index_));
      outcome_.files = rebuilt_->files;
      outcome_.bad = rebuilt_->unreadable.size();
    }
    for (; told_ < rebuilt_->unreadable.size() && lines.size() < kLinesPerPage; ++told_) {
      const store::Damage& damage = rebuilt_->unreadable[told_];
      wire::Line line;
      line.name = damage.name.text();
      line.note = printable(damage.error.message(), wire::kReasonMax);
      lines.push_back(std::move(line));
    }
    if (told_ < rebuilt_->unreadable.size()) return Progress::kMore;
    if (outcome_.bad > 0) {
      outcome_.failed = Kind::kIntegrity;
      outcome_.text = std::to_string(outcome_.bad) + " manifests cannot be read";
    }
    return Progress::kDone;
  }
  store::Root& root_;
  store::ChunkIndex& index_;
  std::optional<store::Rebuilt> rebuilt_;
  std::size_t told_ = 0;
};

class Remove final : public PagedWork {
 public:
  Remove(store::Root& root, store::ChunkIndex& index, DatasetName dataset, std::uint64_t version)
      : root_(root), index_(index), dataset_(std::move(dataset)), version_(version) {}

 private:
  Result<Progress> page() override {
    const VersionNo version = TRY(find_version(root_, dataset_, version_));
    outcome_.files = TRY(root_.tree(dataset_, version)).totals().files;
    TRY(store::remove_version(root_, index_, dataset_, version));
    return Progress::kDone;
  }
  store::Root& root_;
  store::ChunkIndex& index_;
  const DatasetName dataset_;
  const std::uint64_t version_;
};

}  // namespace

Result<std::shared_ptr<Sink>> SiteHost::receive(const wire::Offer& offer) {
  if (!rights_.write)
    return fail(Kind::kAuth, "receive " + printable(offer.dataset),
                "your role may only read; ask its owner");
  return std::make_shared<VersionSink>(root_, index_, TRY(DatasetName::parse(offer.dataset)));
}

Result<std::unique_ptr<FetchWork>> SiteHost::send(const wire::Fetch& fetch) {
  if (!rights_.read)
    return fail(Kind::kAuth, "send " + printable(fetch.dataset), "your role may not read it");
  return std::make_unique<VersionFetch>(root_, TRY(DatasetName::parse(fetch.dataset)), fetch);
}

Result<std::unique_ptr<AskWork>> SiteHost::answer(const wire::Ask& ask) {
  const bool changes = ask.type == wire::AskType::kRemove || ask.type == wire::AskType::kRebuild;
  if (!rights_.read || (changes && !rights_.write))
    return fail(Kind::kAuth, "answer", "your role does not allow it; ask the site's owner");
  if (ask.type == wire::AskType::kDatasets) return std::make_unique<ListDatasets>(root_);
  if (ask.type == wire::AskType::kRebuild) return std::make_unique<Rebuild>(root_, index_);
  DatasetName dataset = TRY(DatasetName::parse(ask.dataset));
  switch (ask.type) {
    case wire::AskType::kVersions:
      return std::make_unique<ListVersions>(root_, std::move(dataset));
    case wire::AskType::kFiles:
      return std::make_unique<ListFiles>(root_, std::move(dataset), ask.version);
    case wire::AskType::kVerify:
      return std::make_unique<Verify>(root_, std::move(dataset), ask.version, false);
    case wire::AskType::kSums:
      return std::make_unique<Verify>(root_, std::move(dataset), ask.version, true);
    case wire::AskType::kRemove:
      if (ask.version == 0)
        return fail(Kind::kUsage, "remove " + dataset.text(), "name the version: @N");
      return std::make_unique<Remove>(root_, index_, std::move(dataset), ask.version);
    case wire::AskType::kDatasets:
    case wire::AskType::kRebuild:
    case wire::AskType::kCheckpoints:
      break;
  }
  return fail(Kind::kUnsupported, "answer");
}

}  // namespace longhaul::transfer
