// Commands whose link is out while the training program is killed and begun again: each takes
// effect once before its time, or never and is said to have expired.
#include "tests/sim/feed_world.hpp"

namespace longhaul::test {
namespace {

struct Span {
  Duration from, to;
};
struct Troubles {
  Duration lifetime;  // of a command that is given at 1 s
  Span outage, dead;  // of the link, of the training program
  bool takes_effect;
};

class TroubledRun {
 public:
  TroubledRun() : world_(ocean(10, 0.01)) {}
  void live_through(const Troubles& troubles) {
    attempt();
    world_.net.start();
    world_.begin_watch();
    world_.train(*log_);
    EXPECT_TRUE(world_.until([&] { return world_.opened && world_.newest > 0; }, 60s));
    auto& clock = world_.net.wan.clock();
    const Duration outage = troubles.outage.to - troubles.outage.from;
    clock.after(troubles.outage.from,
                [this, outage] { world_.net.wan.apply(world_.net.link, netsim::Outage{outage}); });
    clock.after(troubles.dead.from, [this] { world_.training = false; });
    clock.after(troubles.dead.to, [this] { go_on(); });
    clock.after(1s, [this, &troubles] { world_.steer(kCommand, troubles.lifetime); });
    std::optional<wire::SteerState> said;
    world_.until([&] { return (said = verdict()).has_value(); }, 600s);
    world_.until([] { return false; }, 30s);  // nothing comes behind it
    ASSERT_TRUE(said.has_value());
    EXPECT_EQ(*said,
              troubles.takes_effect ? wire::SteerState::kApplied : wire::SteerState::kExpired);
    EXPECT_EQ(verdict(), said) << "it is not taken back";
    EXPECT_EQ(world_.applied, troubles.takes_effect ? 1U : 0U);
    EXPECT_TRUE(still_waiting().empty()) << "its file is gone";
    EXPECT_EQ(logged(run::EventKind::kApplied), troubles.takes_effect ? 1U : 0U);
    EXPECT_LE(logged(run::EventKind::kExpired), troubles.takes_effect ? 0U : 1U);
    EXPECT_EQ(world_.lost, 0U);
    // The next one finds a run that obeys, once there is one.
    world_.until([&] { return world_.training; }, 600s);
    world_.verdicts.clear();
    world_.steer(kCommand + 1, 60s);
    world_.until([&] { return (said = verdict()).has_value(); }, 60s);
    EXPECT_EQ(verdict(), wire::SteerState::kApplied);
  }

 private:
  static constexpr std::uint64_t kCommand = 77;

  void attempt() {
    ++attempts_;
    log_ = std::make_unique<RunWriter>(world_.site_disk, "r", attempts_, "{}",
                                       WallTime{1'000'000'000 + attempts_});
    log_->name(0, "loss");
  }
  // What is known of commands then stands in the logs.
  void go_on() {
    world_.book = run::ControlBook();
    for (const run::RunEvent& event : events()) world_.book.on_event(event);
    attempt();
    world_.training = true;
    world_.train(*log_);
  }
  std::vector<run::RunEvent> events() {
    std::vector<run::RunEvent> all;
    for (std::uint32_t number = 1; number <= attempts_; ++number) {
      const auto name = feed::log_name(*feed::run_folder("r"), number);
      run::LogDecoder decoder;
      decoder.feed(*store::read_whole(world_.site_disk, name, 1U << 24));
      while (const auto entry = decoder.next())
        if (const auto* event = std::get_if<run::RunEvent>(&entry->record)) all.push_back(*event);
    }
    return all;
  }
  std::size_t logged(run::EventKind kind) {
    const auto all = events();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.kind == kind; }));
  }
  std::vector<store::Found> still_waiting() {
    auto folder = world_.site_disk.open_folder(store::TreeName::known("runs/r/control"));
    return folder ? (*folder)->next(100).value() : std::vector<store::Found>();
  }
  // The last that says what became of it.
  std::optional<wire::SteerState> verdict() const {
    std::optional<wire::SteerState> last;
    for (const wire::Steered& one : world_.verdicts)
      if (one.state != wire::SteerState::kReceived) last = one.state;
    return last;
  }

  FeedWorld world_;
  std::unique_ptr<RunWriter> log_;
  std::uint32_t attempts_ = 0;
};

constexpr Span kNever{1000s, 1001s};

TEST(FeedSteer, ACommandThatArrivedExpiresInAnOutageWhileItsRunIsDead) {
  TroubledRun().live_through({60s, {3s, 200s}, {500ms, 100s}, false});
}
TEST(FeedSteer, ACommandThatArrivedTakesEffectInAnOutageOnceItsRunIsBackInTime) {
  TroubledRun().live_through({60s, {3s, 200s}, {500ms, 30s}, true});
}
TEST(FeedSteer, ACommandOnItsWayExpiresWhetherItsRunIsBackBeforeTheLinkOrAfter) {
  TroubledRun().live_through({60s, {500ms, 200s}, {500ms, 30s}, false});
  TroubledRun().live_through({60s, {500ms, 100s}, {500ms, 200s}, false});
}
TEST(FeedSteer, ACommandThatComesThroughInTimeToADeadRunExpiresIfThatIsBackTooLate) {
  TroubledRun().live_through({60s, {500ms, 20s}, {500ms, 100s}, false});
}
TEST(FeedSteer, ACommandOnItsWayTakesEffectOnceBothAreBackInTime) {
  TroubledRun().live_through({100s, {500ms, 20s}, {500ms, 40s}, true});
  TroubledRun().live_through({100s, {500ms, 40s}, {500ms, 20s}, true});
}
// It took effect, the news of it waits, and the run that knows it is begun anew.
TEST(FeedSteer, ACommandThatTookEffectInAnOutageIsNotDoneAgainByTheNextAttempt) {
  TroubledRun().live_through({60s, {1200ms, 200s}, {20s, 40s}, true});
  TroubledRun().live_through({60s, {1200ms, 200s}, {20s, 150s}, true});
}
TEST(FeedSteer, ACommandExpiresInADeadRunWithoutAnOutage) {
  TroubledRun().live_through({60s, kNever, {500ms, 100s}, false});
}

}  // namespace
}  // namespace longhaul::test
