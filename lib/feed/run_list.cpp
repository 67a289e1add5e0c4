#include "lib/feed/run_list.hpp"

#include <algorithm>
#include <map>

#include "lib/feed/run_files.hpp"
#include "lib/run/run_log.hpp"

namespace longhaul::feed {
namespace {

constexpr std::size_t kPartBytes = 128U << 10;  // of a log's beginning and of its end
// For an end in which no frame begins: as much as holds a whole one wherever it does.
constexpr std::size_t kLongPartBytes = 2 * (run::kLogHeadBytes + run::kLogBodyMax);
constexpr std::size_t kListedAtATime = 256;

struct Seen {
  std::map<run::SeriesId, std::string> names;
  std::map<run::SeriesId, run::Point> newest;
  std::uint64_t last_step = 0;
};

void take(const run::LogEntry& entry, Seen& seen, wire::RunLine& line) {
  if (const auto* start = std::get_if<run::Start>(&entry.record)) {
    line.began = start->at;
    line.host = start->host;
    if (start->config.size() <= wire::kRunConfigMax) line.config = std::string(start->config);
  } else if (const auto* name = std::get_if<run::NameSeries>(&entry.record)) {
    seen.names[name->id] = name->name;
  } else if (const auto* end = std::get_if<run::End>(&entry.record)) {
    line.state = wire::RunState::kEnded;
    line.why = end->why;
  } else if (const auto* points = std::get_if<run::Points>(&entry.record)) {
    for (const run::Point& point : points->points) {
      seen.newest[point.series] = point;
      seen.last_step = std::max(seen.last_step, point.step);
    }
  }
}

void put_values(const Seen& seen, wire::RunLine& line) {
  std::vector<wire::NamedValue> values;
  for (const auto& [series, point] : seen.newest) {
    const auto name = seen.names.find(series);
    if (name != seen.names.end()) values.push_back({name->second, point.step, point.value});
  }
  const auto is_loss = [](const wire::NamedValue& value) {
    return value.series.find("loss") != std::string::npos;
  };
  std::stable_partition(values.begin(), values.end(), is_loss);
  if (values.size() > wire::kRunValuesMax) values.resize(wire::kRunValuesMax);
  line.values = wire::List<wire::NamedValue, wire::kRunValuesMax>(std::move(values));
}

}  // namespace

void RunListWork::run() {
  lines.clear();
  if (!std::exchange(found_, true)) {
    const auto found = find(store::TreeName::known("runs"));
    if (!found && found.error().kind() != Kind::kNotFound) error = found.error();
  }
  while (!left_.empty() && lines.size() < wire::kRunLinesMax) {
    if (auto line = look_at(left_.front())) lines.push_back(std::move(*line));
    left_.pop_front();
  }
  last = left_.empty() || error.has_value();
}

// A folder with logs is a run; others are looked into.
Result<> RunListWork::find(const store::TreeName& folder) {
  const auto listing = TRY(files_.open_folder(folder));
  std::vector<store::TreeName> inside;
  for (;;) {
    const auto some = TRY(listing->next(kListedAtATime));
    if (some.empty()) break;
    for (const store::Found& one : some) {
      const auto child = folder.child(one.name);
      if (child && one.stat.type == store::FileType::kFolder) inside.push_back(*child);
    }
  }
  std::sort(inside.begin(), inside.end());
  for (const store::TreeName& child : inside) {
    if (left_.size() >= kRunsMax) return {};
    if (newest_attempt(files_, child, 0) > 0)
      left_.push_back(child);
    else if (child.depth() <= kRunDepthMax)
      (void)find(child);  // what cannot be read is not listed
  }
  return {};
}

std::optional<wire::RunLine> RunListWork::look_at(const store::TreeName& folder) {
  wire::RunLine line;
  line.name = folder.text().substr(std::string_view("runs/").size());
  if (!line.name.fits()) return std::nullopt;
  line.attempts = newest_attempt(files_, folder, 1);
  const auto file = files_.open(log_name(folder, line.attempts), store::Access::kRead);
  if (!file) return std::nullopt;
  const auto stat = (*file)->stat();
  if (!stat) return std::nullopt;
  line.wrote = stat->mtime;
  const std::int64_t quiet = now_.ns - line.wrote.ns;
  line.state = quiet < kSilentAfter.count() ? wire::RunState::kRunning : wire::RunState::kSilent;
  Seen seen;
  const auto read = [&](std::uint64_t offset, std::size_t most) {
    bool any = false;
    const auto bytes = read_part(**file, offset, most);
    if (!bytes) return any;
    run::LogDecoder decoder;
    decoder.feed(*bytes);
    while (auto entry = decoder.next()) {
      take(*entry, seen, line);
      any = true;
    }
    return any;
  };
  read(0, stat->size > 2 * kPartBytes ? kPartBytes : 2 * kPartBytes);
  if (stat->size > 2 * kPartBytes && !read(stat->size - kPartBytes, kPartBytes))
    read(stat->size - std::min<std::uint64_t>(stat->size, kLongPartBytes), kLongPartBytes);
  line.last_step = seen.last_step;
  put_values(seen, line);
  return line;
}

}  // namespace longhaul::feed
