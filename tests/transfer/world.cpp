#include "tests/transfer/world.hpp"

#include <gtest/gtest.h>

#include "lib/store/audit.hpp"
#include "lib/store/scan.hpp"

namespace longhaul::test {

using store::TreeName;

namespace {

TreeName name_of(const std::string& text) {
  return text.empty() ? TreeName() : TreeName::known(text);
}

template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().message();
  return std::move(*result);
}
void must(Result<> result) {
  if (!result) ADD_FAILURE() << result.error().message();
}

class ReadyFetch final : public transfer::FetchWork {
 public:
  explicit ReadyFetch(std::shared_ptr<sim::CrashFiles> disk) : disk_(std::move(disk)) {}
  void run() override {
    if (disk_->stat(TreeName::known("out")))
      source = source_of(disk_, "out", true);
    else
      error = Error(Kind::kNotFound, "open the dataset");
  }

 private:
  std::shared_ptr<sim::CrashFiles> disk_;
};

class TwoPages final : public transfer::AskWork {
 public:
  void run() override {
    wire::Line line;
    line.name = "page" + std::to_string(pages_++);
    lines.push_back(line);
    if (pages_ == 5) last = wire::Outcome();
  }

 private:
  int pages_ = 0;
};

}  // namespace

std::map<std::string, std::string> snapshot(store::Files& files, const TreeName& top) {
  std::map<std::string, std::string> out;
  store::ScanOptions options;
  options.top = top;
  store::Scan scan(files, options, nullptr);
  for (;;) {
    const auto items = must(scan.next(100));
    if (items.empty()) break;
    for (const auto& item : items) {
      const auto& entry = item.entry;
      if (entry.name.is_within(TreeName::known(".longhaul"))) continue;
      std::string what = std::to_string(static_cast<int>(entry.type)) + " " + entry.target;
      if (entry.type == store::EntryType::kFile || entry.type == store::EntryType::kFolder)
        what += " " + std::to_string(entry.mode) + " " + std::to_string(entry.mtime.ns);
      if (entry.type == store::EntryType::kFile)
        what +=
            " " +
            crypto::sha256(must(store::read_whole(files, entry.name.under(top), 1U << 30))).hex();
      out[entry.name.text()] = what;
    }
  }
  return out;
}

void put_file(store::Files& files, const std::string& name, Bytes content, std::uint32_t mode) {
  const TreeName at = name_of(name);
  must(store::make_folders(files, at.parent()));
  auto file = must(files.open(at, store::Access::kOpenOrCreate));
  must(file->resize(content.size()));
  must(file->write_at(content, 0));
  must(files.set_mode(at, mode));
}

ByteVector random_bytes(Rng& rng, std::size_t size) {
  ByteVector out(size);
  rng.fill(out);
  return out;
}

ByteVector text_bytes(Rng& rng, std::size_t size) {
  static const std::array<std::string_view, 8> kWords = {"the ",   "loss ", "of ",   "a ",
                                                         "model ", "is ",   "what ", "it\n"};
  ByteVector out;
  while (out.size() < size) append(out, bytes_of(kWords[rng.below(kWords.size())]));
  out.resize(size);
  return out;
}

void put_random_tree(store::Files& files, const std::string& top, Rng& rng, std::uint64_t bytes) {
  must(store::make_folders(files, name_of(top)));
  std::vector<std::string> folders = {top};
  std::vector<std::pair<std::string, ByteVector>> made;
  std::uint64_t left = bytes;
  for (int i = 0; left > 0 && i < 200; ++i) {
    const std::string folder = folders[rng.below(folders.size())];
    const std::string name = folder + "/n" + std::to_string(i);
    const auto kind = rng.below(12);
    if (kind == 0 && folders.size() < 10) {
      must(files.make_folder(name_of(name)));
      folders.push_back(name);
    } else if (kind == 1) {
      must(files.make_link("n1", name_of(name)));
    } else if (kind == 2 && !made.empty()) {
      must(files.link(name_of(made[rng.below(made.size())].first), name_of(name)));
    } else if (kind == 3 && !made.empty()) {
      put_file(files, name, made[rng.below(made.size())].second);  // a copy
    } else if (kind == 4) {
      auto file = must(files.open(name_of(name), store::Access::kCreate));  // a hole, then data
      must(file->resize(300'000));
      must(file->write_at(random_bytes(rng, 5000), 200'000));
    } else {
      const std::uint64_t size = std::min(left, rng.chance(0.3)   ? rng.below(700'000)
                                                : rng.chance(0.1) ? 0
                                                                  : rng.below(6000));
      ByteVector content = rng.chance(0.5) ? random_bytes(rng, size) : text_bytes(rng, size);
      put_file(files, name, content, rng.chance(0.2) ? 0755 : 0644);
      left -= size;
      made.emplace_back(name, std::move(content));
    }
  }
}

std::shared_ptr<transfer::Source> source_of(std::shared_ptr<store::Files> files,
                                            const std::string& top, bool hash) {
  auto source = std::make_shared<transfer::Source>();
  source->root = name_of(top);
  store::ScanOptions options;
  options.top = source->root;
  store::Scan scan(*files, options, nullptr);
  for (;;) {
    auto items = must(scan.next(100));
    if (items.empty()) break;
    for (auto& item : items) {
      transfer::Row row;
      row.entry = item.entry;
      row.seen = item.seen;
      if (hash && row.is_file()) {
        auto hasher =
            must(store::FileHasher::open(*files, item.entry.name.under(source->root), item.seen));
        while (must(hasher.step(1U << 20, row.pieces)) == store::FileHasher::Progress::kMore) {
        }
        row.hashed = true;
      }
      source->rows.push_back(row);
    }
  }
  source->files = std::move(files);
  return source;
}

store::Tree tree_of(const transfer::Source& source) {
  store::TreeBuilder builder;
  for (std::size_t row = 0; row < source.rows.size(); ++row)
    must(builder.add(source.rows.entry(row), source.rows.pieces(row)));
  return must(builder.finish());
}

Result<std::shared_ptr<transfer::Sink>> FolderHost::receive(const wire::Offer& offer) {
  if (offer.dataset == "forbidden") return fail(Kind::kPermission, "receive forbidden");
  transfer::FolderOptions options;
  options.force = true;
  options.remove_others = true;
  return std::make_shared<transfer::FolderSink>(disk_, offer.dataset, options);
}

Result<std::unique_ptr<transfer::FetchWork>> FolderHost::send(const wire::Fetch&) {
  return std::make_unique<ReadyFetch>(disk_);
}

Result<std::unique_ptr<transfer::AskWork>> FolderHost::answer(const wire::Ask&) {
  return std::make_unique<TwoPages>();
}

World::World(std::uint64_t seed, DoubleLink shape, At b)
    : b_(b), rng_(seed, "world"), link_(seed, shape) {
  boot(End::kA);
  boot(End::kB);
}

void World::boot(End end) {
  SideOf& side = sides_[static_cast<std::size_t>(end)];
  if (end == End::kB && b_ == At::kSite) {
    side.host.reset();
    side.root.reset();
    side.root = must(store::Root::open(*side.disk));
    side.index = std::make_unique<store::MemoryIndex>();
    must(store::rebuild_index(*side.root, *side.index));
    side.host =
        std::make_unique<transfer::SiteHost>(*side.root, *side.index, transfer::SiteRights());
  } else {
    side.host = std::make_unique<FolderHost>(side.disk);
  }
  side.exchange = std::make_unique<Exchange>(
      end == End::kA ? transfer::Side::kDialer : transfer::Side::kListener, side.host.get(),
      side.options);
  link_.attach(end, *side.exchange);
}

void World::kill(End end) {
  SideOf& side = sides_[static_cast<std::size_t>(end)];
  link_.kill(end);
  side.exchange.reset();
  side.host.reset();
  side.root.reset();
  side.disk->kill_process();
}

TransferId World::push(const std::string& dataset, const std::string& top, bool hashed,
                       transfer::SiteMemory memory) {
  auto source = source_of(shared_disk(End::kA), top, hashed);
  Exchange::PushOptions options;
  options.dataset = dataset;
  const auto id =
      at(End::kA).start_push(link_.now(), options, std::move(source), std::move(memory));
  link_.pump();
  return id;
}

TransferId World::pull(const std::string& dataset, std::shared_ptr<transfer::Sink> sink,
                       bool unfinished) {
  Exchange::PullOptions options;
  options.dataset = dataset;
  options.unfinished = unfinished;
  const auto id = at(End::kA).start_pull(link_.now(), options, std::move(sink));
  link_.pump();
  return id;
}

std::optional<Finished> World::run(End end, Duration limit) {
  std::optional<Finished> finished;
  link_.run_until(
      [&] {
        while (auto event = at(end).poll_event())
          if (auto* one = std::get_if<Finished>(&*event)) finished = std::move(*one);
        return finished.has_value();
      },
      limit);
  return finished;
}

}  // namespace longhaul::test
