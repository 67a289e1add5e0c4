// run_feed [--json] [--log FOLDER]: what a point of a run's history costs on its way from the run
// log to the laptop, one thread: the streamer's job (read the log, check it, pack it), the proxy's
// (unpack, keep in the mirror, put into the model that `top` draws), and the bytes of the messages
// between them, whole as they cross. Twenty noisy float curves, as in the notes, or --log: a run's
// folder (it holds log/000001.run), which is only read. Bars: 1 M points/s each, 3 bytes a point.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/base/rng.hpp"
#include "lib/feed/history.hpp"
#include "lib/feed/mirror.hpp"
#include "lib/feed/run_files.hpp"
#include "lib/feed/run_model.hpp"
#include "lib/io/posix_files.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;
namespace fs = std::filesystem;

constexpr std::uint32_t kSeries = 20;
constexpr std::uint64_t kSteps = 200'000;  // 4 million points
constexpr int kRounds = 3;

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "run_feed: {}\n", result.error().message());
  std::exit(1);
}
void must(Result<> result) {
  if (result) return;
  fmt::print(stderr, "run_feed: {}\n", result.error().message());
  std::exit(1);
}

// As a training program's writer puts them down: a frame for what 20 ms of it logged.
void write_log(const fs::path& folder) {
  fs::create_directories(folder / "log");
  auto files = must(io::PosixFiles::at(folder.string()));
  auto file = must(files->open(store::TreeName::known("log/000001.run"), store::Access::kCreate));
  run::LogEncoder log;
  std::uint64_t end = 0;
  const auto append = [&](const run::LogRecord& record) {
    const ByteVector frame = log.frame(record);
    must(file->write_at(frame, end));
    end += frame.size();
  };
  run::Start start;
  start.attempt = 1;
  start.at = WallTime{1'700'000'000'000'000'000};
  start.host = "bench";
  append(start);
  for (std::uint32_t s = 0; s < kSeries; ++s)
    append(run::NameSeries{run::SeriesId(s), fmt::format("layer/{}/norm", s)});
  Rng rng(1, "bench.points");
  std::int64_t at = start.at.ns;
  run::Points points;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    at += 180'000'000 + static_cast<std::int64_t>(rng.below(4'000'000));
    for (std::uint32_t s = 0; s < kSeries; ++s) {
      const double curve = (1.0 + s) * (0.5 + 3.0 / std::sqrt(1.0 + static_cast<double>(step)));
      const double noise = 1.0 + 0.05 * (rng.unit() + rng.unit() - 1.0);
      points.points.push_back({run::SeriesId(s), step, WallTime{at},
                               static_cast<double>(static_cast<float>(curve * noise))});
    }
    append(points);
    points.points.clear();
  }
}

struct Packed {
  std::vector<wire::History> messages;
  std::uint64_t bytes = 0, payload = 0, log_bytes = 0;
};
Packed pack(store::Files& files) {
  Packed out;
  wire::LogPlace place{1, 0, 0};
  for (;;) {
    feed::HistoryWork work(files, store::TreeName(), place, feed::HistoryWork::Trust::kOurs);
    work.run();
    if (work.error) must(Result<>(fail(*work.error)));
    place = work.after;
    if (!work.message) break;
    out.payload += work.message->frames.size() + work.message->segment.size();
    out.bytes += wire::encode(wire::FeedMessage(*work.message)).size();
    out.messages.push_back(std::move(*work.message));
  }
  out.log_bytes = place.offset;
  return out;
}

struct TakenIn {
  std::uint64_t points = 0, others = 0;
};
TakenIn take_in(const Packed& packed, const fs::path& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  auto files = must(io::PosixFiles::at(folder.string()));
  auto mirror = must(feed::Mirror::open(*files, store::TreeName::known("mirror")));
  while (must(mirror->next())) {
  }
  feed::RunModel model;
  TakenIn out;
  for (const wire::History& message : packed.messages) {
    feed::Unpacked unpacked = must(feed::unpack_history(message));
    must(mirror->append(message));
    out.points += unpacked.points.size();
    out.others += unpacked.entries.size();
    model.on_took({message.watch, message.attempt, message.after, message.first, message.next,
                   message.offset, std::move(unpacked.entries), std::move(unpacked.points)});
  }
  bench::keep(model);
  return out;
}

double now() {
  timespec time{};  // of this thread's processor: a figure for one core, whoever is beside it
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::string pattern = "/tmp/longhaul-run-feed-XXXXXX";
  const fs::path scratch = mkdtemp(pattern.data());
  fs::path log;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") json = true;
    if (std::string_view(argv[i]) == "--log" && i + 1 < argc) log = argv[++i];
  }
  const std::string cell = log.empty() ? "curves of the notes" : "a real run";
  if (log.empty()) write_log(log = scratch / "run");
  auto files = must(io::PosixFiles::at(log.string()));
  Packed packed;
  TakenIn taken;
  double pack_s = 1e9, take_s = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    double began = now();
    packed = pack(*files);
    pack_s = std::min(pack_s, now() - began);
    began = now();
    taken = take_in(packed, scratch / "laptop");
    take_s = std::min(take_s, now() - began);
  }
  fs::remove_all(scratch);
  if (taken.points == 0) {
    fmt::print(stderr, "run_feed: there are no points\n");
    return 1;
  }
  const auto points = static_cast<double>(taken.points);
  const double bytes = static_cast<double>(packed.bytes) / points;
  if (json) {
    fmt::print(
        "{{\"bench\":\"ingest\",\"cell\":\"{}\",\"points\":{},\"others\":{},\"messages\":{},"
        "\"streamer_per_s\":{:.0f},\"proxy_per_s\":{:.0f},\"log_bytes\":{:.2f},"
        "\"wire_bytes\":{:.3f}}}\n",
        cell, taken.points, taken.others, packed.messages.size(), points / pack_s, points / take_s,
        static_cast<double>(packed.log_bytes) / points, bytes);
    return 0;
  }
  fmt::print("{}: {} points, {} other records, {} messages\n", cell, taken.points, taken.others,
             packed.messages.size());
  fmt::print("streamer  {:.1f} M points/s of one core\n", points / pack_s * 1e-6);
  fmt::print("proxy     {:.1f} M points/s\n", points / take_s * 1e-6);
  fmt::print("a point   {:.2f} bytes in the log, {:.3f} on the wire\n",
             static_cast<double>(packed.log_bytes) / points, bytes);
}
