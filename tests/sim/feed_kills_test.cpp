// kill -9 of each program of a run that is watched and steered, at points all over its life:
// dialling, TLS, the watch, history under way, news, a command, a mirror half written. Of every
// point that was logged one is in the mirror at the end, and the command took effect once.
#include <cstdlib>

#include "tests/sim/feed_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};
constexpr std::uint64_t kBacklog = 500, kSteps = 60, kSetBack = 10, kCommand = 77;

enum class Victim { kLaptop, kSite, kBoth, kTrainer };

class KilledRun {
 public:
  KilledRun(Victim victim, std::uint64_t at) : victim_(victim), at_(at), world_(ocean(10, 0.01)) {
    world_.mirror_on = true;
    world_.step_time = 20ms;
    world_.next_step = kBacklog;
    attempt();
    for (std::uint64_t step = 0; step < kBacklog; ++step) log_->step(step);
    world_.net.start();
    world_.begin_watch();
    world_.train(*log_);
  }

  // What went wrong; empty: nothing.
  std::string run() {
    const auto whole = [this] { return done() && world_.points.size() == logged(); };
    while (!whole()) {
      const bool ran = world_.until([&] { return turn() || whole(); }, 60s);
      if (!ran) return "it stands still: " + told();
      if (events_ == at_ && !std::exchange(killed_, true)) kill();
      if (over()) begin_again();
    }
    world_.until([] { return false; }, 2s);  // nothing comes behind the end
    if (world_.lost != 0) return "lost: " + told();
    if (world_.applied != 1) return "the command took effect otherwise than once: " + told();
    if (mirrored() != expected()) return "the mirror holds something else: " + told();
    return {};
  }
  std::uint64_t events() const { return events_; }

 private:
  using Points = std::multiset<std::pair<std::uint32_t, std::uint64_t>>;

  void attempt() {
    ++attempts_;
    log_ = std::make_unique<RunWriter>(world_.site_disk, "r", attempts_, "{}",
                                       WallTime{1'000'000'000 + attempts_});
    log_->name(0, "loss");
  }
  // After each event of the world. True: there is something to be done.
  bool turn() {
    ++events_;
    if (world_.next_step >= kBacklog + kSteps) world_.training = false;
    const auto verdict = [](const wire::Steered& one) {
      return one.state == wire::SteerState::kApplied;
    };
    decided_ = decided_ || std::any_of(world_.verdicts.begin(), world_.verdicts.end(), verdict);
    if (world_.opened && !sent_ && !decided_) {
      sent_ = true;
      world_.steer(kCommand, 1h);
    }
    // The trainer waits for its command, or it would end before that came.
    if (!world_.training && !decided_ && !waits_) wait_for_command();
    return events_ == at_ || over();
  }
  void wait_for_command() {
    waits_ = true;
    world_.net.wan.clock().after(world_.step_time, [this] {
      waits_ = false;
      if (log_ != nullptr)
        world_.applied +=
            log_->obey(world_.site_disk, world_.book, world_.wall(), world_.next_step);
    });
  }
  bool done() const { return decided_ && !world_.training && (killed_ || at_ == kNever); }
  bool over() const {
    const auto& events = world_.net.laptop.events;
    return events.size() > seen_ && std::holds_alternative<session::Ended>(events.back().second);
  }

  void kill() {
    if (victim_ == Victim::kTrainer) return kill_trainer();
    if (victim_ != Victim::kLaptop) world_.net.site.forget_session();
    if (victim_ != Victim::kSite) begin_again();
  }
  void begin_again() {
    world_.begin_again();
    world_.points.clear();  // what a program held in its memory is gone
    for (const auto& point : mirrored()) world_.points.insert(point);
    sent_ = false;
    seen_ = world_.net.laptop.events.size();
  }
  // In the middle of a frame. The next attempt saves what was left in the ring, and goes on from a
  // checkpoint; what is in force, and was done, the log says.
  void kill_trainer() {
    run::Points torn;
    torn.points.push_back({run::SeriesId(0), world_.next_step, WallTime{1'000'000}, 1.0});
    const ByteVector frame = log_->log().frame(torn);
    const std::size_t half = frame.size() / 2;
    const bool trained = std::exchange(world_.training, false);
    log_->append(Bytes(frame).first(half));
    const Time until = world_.net.wan.now() + 10 * world_.step_time;
    world_.until([&] { return ++events_, world_.net.wan.now() >= until; }, 1s);
    log_->append(Bytes(frame).subspan(half));
    extra_.insert({attempts_, world_.next_step});
    first_.push_back(world_.next_step);
    world_.next_step -= trained ? kSetBack : 0;
    begin_.push_back(world_.next_step);
    world_.book = run::ControlBook();
    remember();
    attempt();
    world_.training = true;
    world_.train(*log_);
  }
  void remember() {
    const auto name = feed::log_name(*feed::run_folder("r"), attempts_);
    const ByteVector bytes = *store::read_whole(world_.site_disk, name, 1U << 20);
    run::LogDecoder decoder;
    decoder.feed(bytes);
    while (const auto entry = decoder.next())
      if (const auto* event = std::get_if<run::RunEvent>(&entry->record))
        world_.book.on_event(*event);
  }

  // Every point that an attempt logged.
  Points expected() const {
    Points all(extra_.begin(), extra_.end());
    std::uint64_t begin = 0;
    for (std::uint32_t number = 1; number <= attempts_; ++number) {
      const bool last = number == attempts_;
      const std::uint64_t end = last ? world_.next_step : first_.at(number - 1);
      for (std::uint64_t step = begin; step < end; ++step) all.insert({number, step});
      if (!last) begin = begin_.at(number - 1);
    }
    return all;
  }
  std::size_t logged() const { return expected().size(); }
  Points mirrored() {
    Points all;
    auto mirror = feed::Mirror::open(world_.laptop_disk, store::TreeName::known("mirror"));
    while (const auto one = (*mirror)->next().value()) {
      const feed::Unpacked unpacked = feed::unpack_history(*one).value();
      for (const run::Point& point : unpacked.points) all.insert({one->attempt, point.step});
    }
    return all;
  }
  std::string told() {
    return std::to_string(world_.points.size()) + " of " + std::to_string(logged()) + " points, " +
           std::to_string(mirrored().size()) + " in the mirror, " + std::to_string(world_.applied) +
           " applied, event " + std::to_string(events_);
  }

  const Victim victim_;
  const std::uint64_t at_;
  FeedWorld world_;
  std::unique_ptr<RunWriter> log_;
  std::uint32_t attempts_ = 0;
  std::vector<std::uint64_t> first_, begin_;  // of attempts that were killed: the end; the next
  Points extra_;                              // saved from a ring
  std::uint64_t events_ = 0;
  std::size_t seen_ = 0;
  bool killed_ = false, sent_ = false, decided_ = false, waits_ = false;
};

// LONGHAUL_LONG takes every event instead of some.
void expect_no_kill_harms(Victim victim) {
  constexpr std::uint64_t kPoints = 60;
  KilledRun whole(victim, kNever);
  ASSERT_EQ(whole.run(), "");
  const std::uint64_t events = whole.events();
  ASSERT_GT(events, kPoints);
  const std::uint64_t stride = std::getenv("LONGHAUL_LONG") != nullptr ? 1 : events / kPoints;
  for (std::uint64_t at = 1; at < events; at += stride) {
    KilledRun run(victim, at);
    ASSERT_EQ(run.run(), "") << "killed after event " << at << " of " << events;
  }
}

TEST(FeedKills, P7TheLaptopKilledAnywhereLosesAndDoublesNoPoint) {
  expect_no_kill_harms(Victim::kLaptop);
}
TEST(FeedKills, P7TheStreamerKilledAnywhereLosesAndDoublesNoPoint) {
  expect_no_kill_harms(Victim::kSite);
}
TEST(FeedKills, P7BothKilledAnywhereLoseAndDoubleNoPoint) {
  expect_no_kill_harms(Victim::kBoth);
}
TEST(FeedKills, P7TheTrainerKilledAnywhereLosesAndDoublesNoPoint) {
  expect_no_kill_harms(Victim::kTrainer);
}

}  // namespace
}  // namespace longhaul::test
