// A peer of the feed that says anything: the first byte chooses whose, then messages of length u16
// each. Whatever comes, invariants hold, jobs come back, and nothing is taken out of bounds.
#include <cstring>

#include "lib/feed/feeder.hpp"
#include "lib/feed/viewer.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"

using namespace longhaul;
using namespace longhaul::feed;

namespace {

session::Room all_room() {
  session::Room room;
  for (std::size_t& bytes : room.bytes) bytes = 1U << 20;
  return room;
}

// Until nothing more is due; jobs are done at once.
void drain(session::Service& service, Time now) {
  for (int i = 0; i < 100; ++i) {
    auto output = service.poll_output(now, all_room());
    if (!output) break;
    if (auto* job = std::get_if<Job>(&*output)) {
      job->work->run();
      service.on_job(now, std::move(*job));
    } else {
      const auto& message = std::get<session::Message>(*output);
      ASSERT(!message.body.empty() && message.body.size() <= session::kMessageMax);
      ASSERT(message.lane != session::Lane::kControl ||
             message.body.size() <= session::kControlMessageMax);
    }
    service.check();
  }
}

template <class Service>
void hear(Service& service, Bytes in) {
  Time now{};
  while (in.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(load_le<std::uint16_t>(in), in.size() - 2);
    service.on_message(now, session::Lane::kDemand, Slice::copy_of(in.subspan(2, size)));
    in = in.subspan(2 + size);
    now += 10ms;
    service.on_deadline(now);
    drain(service, now);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes in = std::as_bytes(std::span(data + 1, size - 1));
  sim::CrashFiles files;
  if (data[0] % 2 == 0) {
    test::RunWriter log(files, "first", 1);
    log.name(0, "loss");
    for (std::uint64_t step = 0; step < 20; ++step) log.step(step);
    FeederOptions options;
    options.who = "ana";
    options.wall = [] { return WallTime{1'700'000'000'000'000'000}; };
    options.may_steer = data[0] % 4 == 0;
    Feeder feeder(files, options);
    hear(feeder, in);
    feeder.on_end(Time{}, Error());
    drain(feeder, Time{});
  } else {
    const auto mirror = *Mirror::open(files, store::TreeName::known("mirror"));
    while (mirror->next().value()) {
    }
    Viewer viewer;
    viewer.list(Time{});
    Viewer::WatchOptions options;
    options.run = "first";
    for (int i = 0; i < 6; ++i) viewer.watch(Time{}, options, i == 4 ? mirror.get() : nullptr);
    drain(viewer, Time{});
    hear(viewer, in);
    while (viewer.poll_event()) {
    }
    viewer.on_end(Time{}, Error());
  }
  return 0;
}
