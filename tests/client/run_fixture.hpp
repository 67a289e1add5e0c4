// Client: a folder for a run and one for its rings, and what its logs say.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "lib/client/reporter.hpp"

namespace longhaul::client {

namespace fs = std::filesystem;

class Client : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "client-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directory(root_ / "shm");
  }
  void TearDown() override { fs::remove_all(root_); }

  ReporterOptions options() const {
    return {.folder = root_ / "run", .shared = root_ / "shm", .threads = 4};
  }
  struct Log {
    std::vector<run::Point> points;
    std::map<std::uint32_t, std::string> names;
    std::vector<run::RunEvent> events;
    bool started = false, ended = false;
    std::uint64_t dropped = 0, next = 0;
    std::map<std::pair<std::string, std::uint64_t>, int> times;  // (series, step)
  };
  Log log(int attempt) const {
    Log out;
    char name[16];
    std::snprintf(name, sizeof name, "%06d.run", attempt);
    std::ifstream file(root_ / "run" / "log" / name, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    run::LogDecoder decoder;
    decoder.feed(bytes_of(text));
    while (auto entry = decoder.next()) {
      if (std::holds_alternative<run::Start>(entry->record)) out.started = true;
      if (std::holds_alternative<run::End>(entry->record)) out.ended = true;
      if (auto* drops = std::get_if<run::Drops>(&entry->record)) out.dropped = drops->points;
      if (auto* event = std::get_if<run::RunEvent>(&entry->record)) out.events.push_back(*event);
      if (auto* series = std::get_if<run::NameSeries>(&entry->record))
        out.names[series->id.value()] = series->name;
      if (auto* points = std::get_if<run::Points>(&entry->record))
        out.points.insert(out.points.end(), points->points.begin(), points->points.end());
    }
    for (const run::Point& p : out.points) ++out.times[{out.names[p.series.value()], p.step}];
    out.next = decoder.next_number();
    return out;
  }
  void send(const run::Command& command) const {
    char name[32];
    std::snprintf(name, sizeof name, "%016llx.cmd", static_cast<unsigned long long>(command.id));
    const ByteVector bytes = run::command_file(command);
    const fs::path path = root_ / "run" / "control" / name;
    std::ofstream(path.string() + ".new", std::ios::binary) << text_of(bytes);
    fs::rename(path.string() + ".new", path);
  }
  // What poll() hands out within a minute.
  static std::optional<run::Command> wait_for_command(Reporter& reporter, std::uint64_t step) {
    for (int i = 0; i < 6000; ++i) {
      if (auto command = reporter.poll(step)) return command;
      ::poll(nullptr, 0, 10);
    }
    return std::nullopt;
  }
  std::size_t leftovers() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(root_ / "shm"), {}));
  }

  fs::path root_;
};

}  // namespace longhaul::client
