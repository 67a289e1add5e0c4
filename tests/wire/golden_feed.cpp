// Golden bytes of the messages that show and steer runs, each once with every field set.
#include "tests/wire/catalogue.hpp"

namespace longhaul::wire {
namespace {

RunPage some_page() {
  RunLine line;
  line.name = "llama/first";
  line.state = RunState::kEnded;
  line.attempts = 2;
  line.last_step = 70'000;
  line.began = WallTime{1'700'000'000'000'000'001};
  line.wrote = WallTime{1'700'000'100'000'000'000};
  line.host = "gpu-7";
  line.why = "done";
  line.config = R"({"lr":0.001})";
  line.values = {NamedValue{"train/loss", 70'000, 2.25}};
  RunPage page;
  page.request = FeedRequest(3);
  page.number = 1;
  page.lines = {line};
  page.last = true;
  return page;
}

RunPage refused_page() {
  RunPage page;
  page.request = FeedRequest(4);
  page.last = true;
  page.failed = Kind::kAuth;
  page.text = "this node's role does not allow it";
  return page;
}

Watch some_watch() {
  Watch watch;
  watch.watch = WatchId(5);
  watch.run = "first";
  watch.have = {LogPlace{1, 300, 4'096}, LogPlace{2, 7, 200}};
  watch.past = true;
  watch.live = false;
  return watch;
}

Watched some_watched() {
  Watched watched;
  watched.watch = WatchId(5);
  watched.failed = Kind::kNotFound;
  watched.text = "there is no such run";
  watched.site_time = WallTime{1'700'000'100'000'000'000};
  watched.from = {LogPlace{1, 300, 4'096}};
  return watched;
}

History some_history() {
  History history;
  history.watch = WatchId(5);
  history.attempt = 2;
  history.after = 300;
  history.first = 301;
  history.next = 4'397;
  history.offset = 65'536;
  history.frames = Slice::copy_of("frames");
  history.segment = Slice::copy_of("segment");
  return history;
}

News some_news() {
  News news;
  news.watch = WatchId(5);
  news.attempt = 2;
  news.recorded = 4'397;
  news.wrote = WallTime{1'700'000'100'000'000'000};
  news.site_time = WallTime{1'700'000'100'500'000'000};
  news.frames = Slice::copy_of("frames");
  return news;
}

Live some_live() {
  Live live;
  live.watch = WatchId(5);
  live.attempt = 2;
  live.recorded = 4'397;
  live.values = {LiveValue{64, 128, WallTime{1'700'000'100'000'000'000}, 2.25},
                 LiveValue{65, 120, WallTime{1'700'000'099'000'000'000}, -0.5}};
  return live;
}

Steer some_steer() {
  Steer steer;
  steer.watch = WatchId(5);
  steer.id = {0x0123456789abcdef};
  steer.kind = 1;
  steer.name = "lr";
  steer.value = 0.001;
  steer.expires = WallTime{1'700'000'400'000'000'000};
  return steer;
}

Steered some_steered() {
  Steered steered;
  steered.watch = WatchId(5);
  steered.id = {0x0123456789abcdef};
  steered.state = SteerState::kApplied;
  steered.attempt = 2;
  steered.step = 129;
  steered.at = WallTime{1'700'000'101'000'000'000};
  steered.text = "lr=0.001";
  return steered;
}

ReadOutput some_read() {
  ReadOutput read;
  read.request = FeedRequest(9);
  read.run = "first";
  read.offset = 65'536;
  read.from_end = true;
  read.follow = true;
  return read;
}

OutputPart some_part() {
  OutputPart part;
  part.request = FeedRequest(9);
  part.number = 2;
  part.offset = 300;
  part.size = 304;
  part.bytes = Slice::copy_of("done");
  part.last = true;
  part.failed = Kind::kChanged;
  part.text = "it was begun anew";
  return part;
}

}  // namespace

std::vector<GoldenBytes> feed_golden() {
  return {
      golden_feed_message("all", ListRuns{FeedRequest(3)}),
      golden_feed_message("one", some_page()),
      golden_feed_message("refused", refused_page()),
      golden_feed_message("again", some_watch()),
      golden_feed_message("missing", some_watched()),
      golden_feed_message("one", Unwatch{WatchId(5)}),
      golden_feed_message("behind-rot", some_history()),
      golden_feed_message("newest", some_news()),
      golden_feed_message("group", some_live()),
      golden_feed_message("set", some_steer()),
      golden_feed_message("applied", some_steered()),
      golden_feed_message("end", some_read()),
      golden_feed_message("last", some_part()),
  };
}

}  // namespace longhaul::wire
