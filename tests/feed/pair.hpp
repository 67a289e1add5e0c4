// Pair: a Feeder and a Viewer with nothing between them but a test that says what arrives when.
#pragma once

#include <gtest/gtest.h>

#include "lib/feed/feeder.hpp"
#include "lib/feed/run_model.hpp"
#include "lib/feed/viewer.hpp"
#include "tests/feed/run_writer.hpp"

namespace longhaul::test {

using session::Lane;

inline constexpr WallTime kWall{1'700'000'000'000'000'000};

inline session::Room room_for(std::size_t bytes) {
  session::Room room;
  for (std::size_t& lane : room.bytes) lane = bytes;
  return room;
}

class Pair {
 public:
  explicit Pair(store::Files& files, std::string who = "ana") {
    feed::FeederOptions options;
    options.who = std::move(who);
    options.wall = [] { return kWall; };
    feeder = std::make_unique<feed::Feeder>(files, options);
  }
  // What a side puts out now; its jobs are done at once.
  std::vector<session::Message> said(session::Service& side, std::size_t room = 1U << 20) {
    std::vector<session::Message> said;
    while (auto output = side.poll_output(now, room_for(room))) {
      if (auto* job = std::get_if<Job>(&*output)) {
        job->work->run();
        side.on_job(now, std::move(*job));
      } else {
        said.push_back(std::get<session::Message>(std::move(*output)));
      }
      side.check();
    }
    return said;
  }
  void tell(session::Service& side, const session::Message& message) {
    side.on_message(now, message.lane, message.body);
  }
  template <class Message>
  void tell_feeder(const Message& message) {
    feeder->on_message(now, Lane::kControl,
                       Slice::copy_of(wire::encode(wire::FeedMessage(message))));
  }
  // Exchanges messages for so long; the site's of a lane that `withheld` names stay behind.
  void exchange(Duration span, std::optional<Lane> withheld = std::nullopt) {
    for (const Time end = now + span; now < end; now += 20ms) {
      for (const auto& message : said(viewer)) tell(*feeder, message);
      for (const auto& message : said(*feeder)) {
        if (message.lane == withheld)
          kept.push_back(message);
        else
          tell(viewer, message);
      }
      hear();
    }
  }
  void hear() {
    (void)said(viewer);
    while (auto event = viewer.poll_event()) {
      if (auto* took = std::get_if<feed::Took>(&*event)) model.on_took(*took);
      if (auto* heard = std::get_if<feed::Heard>(&*event)) model.on_heard(*heard);
      if (auto* fresh = std::get_if<feed::Fresh>(&*event)) model.on_fresh(*fresh);
      if (std::holds_alternative<feed::MirrorFailed>(*event)) ++mirrors_failed;
      if (std::holds_alternative<feed::Took>(*event)) ++stretches;
      if (auto* one = std::get_if<feed::Opened>(&*event)) opened = *one;
      if (auto* gone = std::get_if<feed::FeedBroken>(&*event)) broken.push_back(gone->why);
      if (auto* steered = std::get_if<wire::Steered>(&*event)) verdicts.push_back(*steered);
    }
  }
  wire::WatchId watch(const std::string& run, std::vector<wire::LogPlace> have = {},
                      feed::Mirror* mirror = nullptr) {
    feed::Viewer::WatchOptions options;
    options.run = run;
    options.have = std::move(have);
    return viewer.watch(now, options, mirror);
  }

  Time now{};
  std::unique_ptr<feed::Feeder> feeder;
  feed::Viewer viewer;
  feed::RunModel model;
  std::vector<session::Message> kept;
  std::optional<feed::Opened> opened;
  std::size_t mirrors_failed = 0, stretches = 0;
  std::vector<Error> broken;
  std::vector<wire::Steered> verdicts;
};

}  // namespace longhaul::test
