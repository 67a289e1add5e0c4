#include "lib/client/reporter.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <ctime>

namespace longhaul::client {
namespace {

constexpr auto kCloseMost = std::chrono::seconds(1);

std::atomic<std::uint64_t> g_serial{0};  // how many reporters there were

WallTime wall_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return {now.tv_sec * 1'000'000'000LL + now.tv_nsec};
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

// The shared log of an attempt whose number was just taken. One that is there already belongs to a
// run whose folder was deleted after a kill: nobody will ever ask for it.
Result<std::unique_ptr<Mapping>> make_mapping(const std::string& path, std::size_t size) {
  auto made = Mapping::create(path, size);
  if (made || made.error().kind() != Kind::kExists) return made;
  const auto left_behind = TRY(Mapping::open(path));  // kBusy while its process lives
  left_behind->remove();
  return Mapping::create(path, size);
}

// A thread's ring and clock for the reporter it logged to last.
struct alignas(64) ThreadLog {  // all that a call needs but the reporter: two cache lines
  std::uint64_t serial = 0;
  std::uint64_t step = 0;
  WallTime at;
  std::optional<run::RingProducer> ring;
};
thread_local ThreadLog t_log;

}  // namespace

Reporter::Reporter(std::unique_ptr<Mapping> mapping, run::SharedLog shared)
    : serial_(g_serial.fetch_add(1) + 1), mapping_(std::move(mapping)), shared_(shared) {}

Result<std::unique_ptr<Reporter>> Reporter::open(const ReporterOptions& options) {
  if (options.folder.empty()) return fail(Kind::kUsage, "open a run", "no folder was given");
  if (options.config.size() > run::kEventTextMax)
    return fail(Kind::kLimit, "open a run", "the configuration is longer than 64 KiB");
  const RunFolder folder = TRY(RunFolder::open(options.folder, shared_folder(options.shared)));
  std::vector<std::uint32_t> at_work = folder.rescue();
  Past past = TRY(folder.past());
  past.at_work = std::move(at_work);
  const std::uint32_t attempt = TRY(folder.begin_attempt(past.attempts));
  const WallTime began = wall_now();
  const run::SharedLogOptions layout{
      .attempt = attempt,
      .process = static_cast<std::uint64_t>(::getpid()),
      .began = began,
      .folder = folder.path(),
      .rings = std::min(options.threads == 0 ? 8 : options.threads, run::kRingsMax)};
  auto mapping = TRY(make_mapping(folder.shared_path(attempt), run::SharedLog::bytes(layout)));
  const run::SharedLog shared = run::SharedLog::create(mapping->bytes(), layout);
  LogFile log = TRY(folder.open_log(attempt, 0));
  std::unique_ptr<Reporter> reporter(new Reporter(std::move(mapping), shared));
  reporter->attempt_ = attempt;
  const run::Start start{attempt, began, layout.process, {host_name()}, {options.config}};
  reporter->writer_ = std::make_unique<Writer>(folder, std::move(log), reporter->shared_,
                                               std::move(past), !options.forget_controls, start);
  return reporter;
}

Reporter::~Reporter() {
  if (writer_ != nullptr) close("the program let go of it");
}

run::SeriesId Reporter::series(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  const run::SeriesId id = shared_.add_series(name);
  if (id != run::kNoSeries) names_.emplace(std::string(name), id);
  return id;
}

// This thread's ring; its pages are taken now, so that no later push waits for one.
std::optional<run::RingProducer> Reporter::ring() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (auto claimed = shared_.claim_ring()) {
      mapping_->populate(shared_.ring_memory(shared_.rings_claimed() - 1));
      return claimed;
    }
  } catch (...) {  // no memory: this thread's points are counted as dropped
  }
  return std::nullopt;
}

void Reporter::log(run::SeriesId series, std::uint64_t step, double value) noexcept {
  ThreadLog& mine = t_log;
  if (mine.serial != serial_) [[unlikely]] {
    mine = {serial_, ~step, {}, ring()};
  }
  if (mine.step != step) {  // the clock once a step: points of one step have one time
    mine.step = step;
    mine.at = wall_now();
  }
  if (!mine.ring || series == run::kNoSeries) return shared_.count_unlogged();
  mine.ring->push({series, step, mine.at, value});
}

void Reporter::event(run::EventKind kind, std::uint64_t step, std::string text) {
  if (text.size() > run::kEventTextMax) text.resize(run::kEventTextMax);
  writer_->event({kind, step, wall_now(), 0, {}, {std::move(text)}});
}

std::optional<run::Command> Reporter::poll(std::uint64_t step) {
  if (!writer_->anything_to_poll()) return std::nullopt;
  return writer_->poll(wall_now(), step);
}

void Reporter::done(const run::Command& command, std::uint64_t step, run::EventKind how,
                    std::string why) {
  writer_->done(wall_now(), step, command, how, std::move(why));
}

Counts Reporter::counts() const {
  Counts counts = writer_->counts();
  counts.dropped += shared_.dropped();
  return counts;
}

void Reporter::close(std::string why) {
  if (why.size() > 255) why.resize(255);
  if (writer_->close({wall_now(), {std::move(why)}}, kCloseMost)) {
    mapping_->remove();
    writer_.reset();
    return;
  }
  // The disk does not answer. The thread keeps what it works on; whatever it does not write, the
  // next attempt finds in the ring.
  (void)writer_.release();
  (void)mapping_.release();
}

}  // namespace longhaul::client
