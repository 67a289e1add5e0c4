#include "tests/feed/run_writer.hpp"

#include "lib/base/assert.hpp"

namespace longhaul::test {

RunWriter::RunWriter(store::Files& files, const std::string& run, std::uint32_t attempt,
                     std::string config, WallTime began) {
  const auto folder = feed::run_folder(run);
  ASSERT(folder.has_value());
  folder_ = *folder;
  const auto name = feed::log_name(*folder, attempt);
  ASSERT(store::make_folders(files, name.parent()).has_value());
  auto file = files.open(name, store::Access::kCreate);
  ASSERT(file.has_value());
  file_ = *std::move(file);
  run::Start start;
  start.attempt = attempt;
  start.at = began;
  start.process = 7;
  start.host = "gpu-1";
  start.config = std::move(config);
  frame(start);
}

void RunWriter::append(Bytes bytes) {
  ASSERT(file_->write_at(bytes, end_).has_value());
  end_ += bytes.size();
}

void RunWriter::name(std::uint32_t series, std::string_view text) {
  frame(run::NameSeries{run::SeriesId(series), std::string(text)});
}

double RunWriter::value_at(std::uint32_t series, std::uint64_t step) {
  return static_cast<double>(series) + 1.0 / static_cast<double>(step + 1);
}

void RunWriter::step(std::uint64_t step, std::uint32_t series) {
  run::Points points;
  for (std::uint32_t i = 0; i < series; ++i) {
    points.points.push_back({run::SeriesId(i), step,
                             WallTime{static_cast<std::int64_t>(1'000'000 * (step + 2'000))},
                             value_at(i, step)});
  }
  frame(points);
}

void RunWriter::event(run::EventKind kind, std::uint64_t step, std::uint64_t id, std::string text) {
  frame(run::RunEvent{kind, step, WallTime{2'000'000'000}, id, "ana", std::move(text)});
}

std::uint64_t RunWriter::obey(store::Files& files, run::ControlBook& book, WallTime now,
                              std::uint64_t step) {
  const auto control = folder_.child("control");
  auto folder = files.open_folder(*control);
  if (!folder) return 0;
  std::uint64_t applied = 0;
  const std::vector<store::Found> listed = (*folder)->next(100).value();
  for (const store::Found& found : listed) {
    if (!found.name.ends_with(".cmd")) continue;
    const auto name = *control->child(found.name);
    const auto command = run::read_command_file(*store::read_whole(files, name, 1024));
    ASSERT(command.has_value());
    if (auto event = book.on_command(now, step, *command)) frame(*event);
    std::vector<run::RunEvent> expired;
    if (auto ready = book.take(now, step, expired)) {
      ++applied;
      frame(book.done(now, step, *ready, run::EventKind::kApplied));
    }
    for (const auto& event : expired) frame(event);
    ASSERT(files.remove(name).has_value());
  }
  return applied;
}

void RunWriter::end(std::string why) {
  frame(run::End{WallTime{3'000'000'000}, std::move(why)});
}

}  // namespace longhaul::test
