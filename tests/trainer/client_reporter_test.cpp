// The trainer's side of longhaul.h: what it logs stands in the run log, what is asked of it
// arrives.
#include "trainer/client/client_reporter.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <fstream>

#include "lib/run/command.hpp"
#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checkpoint.hpp"

namespace longhaul::trainer {
namespace {

class ClientReporterTest : public testing::Test {
 protected:
  ClientReporterTest() { ::setenv("LONGHAUL_SHM", shared_.path().c_str(), 1); }

  std::unique_ptr<Reporter> begin(bool forget = false) {
    return ClientReporter::begin({.run = run(), .config = "{}", .forget_controls = forget}).value();
  }
  Path run() const { return folder_.path() / "run"; }
  void send(const std::string& text, std::uint64_t id) {
    run::Command command = run::parse_command(text).value();
    command.id = id;
    command.who = wire::Text<255>("somebody");
    const Path path = run() / "control" / (std::string(15, '0') + std::to_string(id) + ".cmd");
    std::ofstream(path.native() + ".new", std::ios::binary) << text_of(run::command_file(command));
    std::filesystem::rename(path.native() + ".new", path);
  }
  static std::optional<Command> wait_for_command(Reporter& reporter) {
    for (int i = 0; i < 1000; ++i) {
      if (auto command = reporter.poll(7)) return command;
      ::poll(nullptr, 0, 10);
    }
    return std::nullopt;
  }
  struct Log {
    std::map<std::string, std::map<std::uint64_t, double>> points;
    std::vector<run::RunEvent> events;
    std::string why;
  };
  Log log(int attempt) const {
    std::ifstream file(run() / "log" / ("00000" + std::to_string(attempt) + ".run"),
                       std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    run::LogDecoder decoder;
    decoder.feed(bytes_of(text));
    Log out;
    std::map<run::SeriesId, std::string> names;
    while (auto entry = decoder.next()) {
      if (auto* end = std::get_if<run::End>(&entry->record)) out.why = end->why;
      if (auto* event = std::get_if<run::RunEvent>(&entry->record)) out.events.push_back(*event);
      if (auto* name = std::get_if<run::NameSeries>(&entry->record)) names[name->id] = name->name;
      if (auto* points = std::get_if<run::Points>(&entry->record))
        for (const run::Point& p : points->points) out.points[names[p.series]][p.step] = p.value;
    }
    return out;
  }

  TemporaryFolder folder_, shared_;
};

TEST_F(ClientReporterTest, WhatTheTrainerSaysStandsInTheRunLog) {
  auto reporter = begin();
  EXPECT_EQ(reporter->attempt(), 1U);
  EXPECT_EQ(newest_attempt(run()).value(), 1U) << "checkpoints go by the same number";
  reporter->log(Series::kLoss, 3, 0.1);
  reporter->log(series_of(Column::kOther), 3, 0.25);
  reporter->mark(3, "here");
  reporter->resumed(3, "from");
  reporter->checkpointed(4, "to");
  reporter->end("done");
  EXPECT_EQ(reporter->attempt(), 1U);
  const Log log = this->log(1);
  EXPECT_EQ(log.points.at("train/loss").at(3), 0.1);
  EXPECT_EQ(log.points.at("ledger/other").at(3), 0.25);
  ASSERT_EQ(log.events.size(), 3U);
  EXPECT_EQ(log.events[0].kind, run::EventKind::kMark);
  EXPECT_EQ(log.events[1].kind, run::EventKind::kResumed);
  EXPECT_EQ(log.events[2].kind, run::EventKind::kCheckpoint);
  EXPECT_EQ(log.events[2].text, "to");
  EXPECT_EQ(log.why, "done");
  EXPECT_EQ(claim_attempt(run()).value(), 2U) << "a build without longhaul.h counts on";
  EXPECT_EQ(begin()->attempt(), 3U);
}

TEST_F(ClientReporterTest, CommandsArriveAndTheirAnswersAreWritten) {
  auto reporter = begin();
  send("lr*=0.5", 1);
  const auto first = wait_for_command(*reporter);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->verb, Command::Verb::kScale);
  EXPECT_EQ(first->key, "lr");
  EXPECT_EQ(first->value, 0.5);
  EXPECT_EQ(first->who, "somebody");
  reporter->answer(*first, 8, {});
  send("speed=1", 2);
  const auto second = wait_for_command(*reporter);
  ASSERT_TRUE(second);
  Settings settings;
  reporter->answer(*second, 9, settings.change(*second));
  reporter->end("done");
  const Log log = this->log(1);
  ASSERT_EQ(log.events.size(), 2U);
  EXPECT_EQ(log.events[0].kind, run::EventKind::kApplied);
  EXPECT_EQ(log.events[0].step, 8U);
  EXPECT_EQ(log.events[1].kind, run::EventKind::kRefused);
  EXPECT_NE(log.events[1].text.find("there is lr"), std::string::npos);

  const auto again = begin()->poll(0);
  ASSERT_TRUE(again) << "what is in force is told to the next attempt before anything else";
  EXPECT_EQ(again->key, "lr");
  EXPECT_FALSE(begin(true)->poll(0)) << "unless it wants to forget";
}

TEST_F(ClientReporterTest, WithoutMemoryForItsRingTheRunDoesNotBegin) {
  ::setenv("LONGHAUL_SHM", "/nowhere", 1);
  const auto none = ClientReporter::begin({.run = run(), .config = "{}"});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message().find("/nowhere"), std::string::npos) << none.error().message();
}

}  // namespace
}  // namespace longhaul::trainer
