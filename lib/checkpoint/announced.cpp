#include "lib/checkpoint/announced.hpp"

#include <algorithm>
#include <set>

#include "lib/feed/run_files.hpp"

namespace longhaul::checkpoint {
namespace {

constexpr std::size_t kReadBytes = 1U << 20;

}  // namespace

Result<AnnouncedReader::Progress> AnnouncedReader::step(std::uint64_t most) {
  if (attempt_ == 0) {
    newest_ = feed::newest_attempt(files_, folder_, 0);
    if (newest_ == 0) return fail(Kind::kNotFound, "find the checkpoints", "there is no such run");
    attempt_ = 1;
  }
  for (std::uint64_t read = 0; read < most;) {
    const auto file = TRY(files_.open(feed::log_name(folder_, attempt_), store::Access::kRead));
    const ByteVector more = TRY(feed::read_part(*file, offset_, kReadBytes));
    offset_ += more.size();
    read += more.size();
    decoder_.feed(more);
    while (const auto entry = decoder_.next()) note(attempt_, *entry);
    if (more.size() == kReadBytes) continue;
    if (attempt_ == newest_) return Progress::kDone;
    ++attempt_;
    offset_ = 0;
    decoder_ = run::LogDecoder();
  }
  return Progress::kMore;
}

void AnnouncedReader::note(std::uint32_t attempt, const run::LogEntry& entry) {
  const auto* event = std::get_if<run::RunEvent>(&entry.record);
  if (event == nullptr || event->kind != run::EventKind::kCheckpoint) return;
  found_.push_back({attempt, event->step, event->at, std::string(event->text)});
  if (found_.size() >= 2 * kAnnouncedMax) found_ = take();
}

std::vector<Announced> AnnouncedReader::take() {
  std::vector<Announced> newest;
  std::set<std::uint64_t> steps;
  for (auto one = found_.rbegin(); one != found_.rend() && newest.size() < kAnnouncedMax; ++one)
    if (steps.insert(one->step).second) newest.push_back(std::move(*one));
  std::reverse(newest.begin(), newest.end());
  found_.clear();
  return newest;
}

std::optional<store::TreeName> find_announced(store::Files& files, const store::TreeName& run,
                                              std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  for (;;) {
    const auto name = store::TreeName::parse(path);
    if (name) {
      const store::TreeName folder = name->under(run);
      const auto stat = files.stat(folder);
      if (stat && stat->type == store::FileType::kFolder) return folder;
    }
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace longhaul::checkpoint
