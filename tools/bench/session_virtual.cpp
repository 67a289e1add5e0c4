// session_virtual [--json]: the sealed session in virtual time, against real time. Two sessions,
// TLS 1.3 between them, over netsim's simulated TCP on a link of 160 ms and 1 Gbit/s; bulk from a
// plain source to a sink, so that what is measured is session, TLS and network (bar: 1.5x real
// time). Both sides, their encryption and the network share one thread.
//   whole    40 s from the first packet, with the session's search for the link's rate
//   steady   the last 20 s of it, at the rate that was found
// Measured by the wall clock and in processor time of this thread; they agree on a quiet machine.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string_view>

#include "tests/sim/session_world.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;

constexpr int kRounds = 3, kSeconds = 40, kRampSeconds = 20;

// Bulk without end, cut from one block; the peer's counts what comes.
class Plain final : public session::Service {
 public:
  explicit Plain(bool sends) : sends_(sends) {}
  void on_message(Time, session::Lane, Slice message) override { received += message.size(); }
  void on_job(Time, Job) override {}
  void on_deadline(Time) override {}
  void on_link(Time, session::LinkState) override {}
  void on_end(Time, const Error& why) override {
    fmt::print(stderr, "the session ended: {}\n", why.message());
    std::exit(1);
  }
  std::optional<session::ServiceOutput> poll_output(Time, const session::Room& room) override {
    if (!sends_ || !room.in(session::Lane::kBulk)) return std::nullopt;
    session::Message message;
    message.body = block_;
    return message;
  }
  std::optional<Time> next_deadline() const override { return std::nullopt; }
  std::size_t held() const override { return 0; }
  void check() const override {}
  std::uint64_t received = 0;

 private:
  bool sends_;
  Slice block_ = Slice::copy_of(ByteVector(256U << 10));
};

struct Clocks {
  double wall_s, processor_s;
  static Clocks now() {
    timespec cpu{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return {
        std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(),
        static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9};
  }
};

struct Figures {
  double wall_times_real = 0, processor_times_real = 0, megabits_per_second = 0;
};

Figures figures(const Clocks& begin, double seconds, std::uint64_t bytes) {
  const Clocks end = Clocks::now();
  return {seconds / (end.wall_s - begin.wall_s), seconds / (end.processor_s - begin.processor_s),
          static_cast<double>(bytes) * 8e-6 / seconds};
}

void run(Figures& whole, Figures& steady) {
  test::WorldOptions options;
  options.link = {.rtt = 160ms, .megabits = 1000};
  test::SessionWorld world(1, options);
  Plain source(true), sink(false);
  world.laptop.make_service = [&]() -> session::Service& { return source; };
  world.site.make_service = [&]() -> session::Service& { return sink; };
  const Clocks begin = Clocks::now();
  world.start();
  world.run_for(std::chrono::seconds(kRampSeconds));
  const std::uint64_t before = sink.received;
  const Clocks ramped = Clocks::now();
  world.run_for(std::chrono::seconds(kSeconds - kRampSeconds));
  const Figures late = figures(ramped, kSeconds - kRampSeconds, sink.received - before);
  const Figures all = figures(begin, kSeconds, sink.received);
  if (all.wall_times_real > whole.wall_times_real) whole = all;
  if (late.wall_times_real > steady.wall_times_real) steady = late;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  Figures whole, steady;
  for (int round = 0; round < kRounds; ++round) run(whole, steady);
  if (json)
    fmt::print(
        "{{\"bench\":\"session_virtual\",\"whole_times_real\":{:.2f},"
        "\"whole_times_real_processor\":{:.2f},\"whole_mbit_s\":{:.0f},"
        "\"steady_times_real\":{:.2f},\"steady_times_real_processor\":{:.2f},"
        "\"steady_mbit_s\":{:.0f}}}\n",
        whole.wall_times_real, whole.processor_times_real, whole.megabits_per_second,
        steady.wall_times_real, steady.processor_times_real, steady.megabits_per_second);
  else
    for (const auto& [name, f] : {std::pair{"whole", whole}, std::pair{"steady", steady}})
      fmt::print("{:7} {:6.2f} x real time (processor time {:.2f}) at {:.0f} Mbit/s (bar 1.5)\n",
                 name, f.wall_times_real, f.processor_times_real, f.megabits_per_second);
}
