#include "trainer/reporter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "trainer/checkpoint.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

bool ends_within_a_line(const File& file) {
  const std::uint64_t bytes = file.size().value_or(0);  // of a pipe: none
  std::array<std::byte, 1> last{};
  return bytes > 0 && file.read_at(bytes - 1, last) && last[0] != std::byte{'\n'};
}

}  // namespace

std::string_view name_of(Series series) {
  constexpr std::array<std::string_view, kSeriesCount> kNames = {"train/loss",
                                                                 "eval/loss",
                                                                 "train/gradient_norm",
                                                                 "train/lr",
                                                                 "train/tokens_per_second",
                                                                 "train/skipped",
                                                                 "device/busy",
                                                                 "device/idle",
                                                                 "ledger/compute",
                                                                 "ledger/data",
                                                                 "ledger/report",
                                                                 "ledger/checkpoint",
                                                                 "ledger/sync",
                                                                 "ledger/control",
                                                                 "ledger/other"};
  return kNames[static_cast<std::size_t>(series)];
}

Result<std::unique_ptr<Reporter>> FileReporter::begin(const RunOpening& opening) {
  const std::uint64_t attempt = TRY(claim_attempt(opening.run));
  auto reporter =
      TRY(open(opening.run / "metrics.jsonl", attempt, attempt_path(opening.run, attempt + 1)));
  return std::unique_ptr<Reporter>(std::move(reporter));
}

Result<std::unique_ptr<FileReporter>> FileReporter::open(const Path& path, std::uint64_t attempt,
                                                         std::optional<Path> newer) {
  File file = TRY(File::open_to_append(path));
  return std::unique_ptr<FileReporter>(
      new FileReporter(std::move(file), attempt, std::move(newer)));
}

FileReporter::FileReporter(File file, std::uint64_t attempt, std::optional<Path> newer)
    : file_(std::move(file)),
      newer_(std::move(newer)),
      attempt_(attempt),
      thread_([this] { run(); }) {}

FileReporter::~FileReporter() {
  finish();
}

void FileReporter::finish() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  wake_.notify_all();
  thread_.join();
}

void FileReporter::log(Series series, std::uint64_t step, double value) noexcept {
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  if (head - tail_.load(std::memory_order_acquire) == kRing) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ring_[head % kRing] = {series, step, value};
  head_.store(head + 1, std::memory_order_release);
}

void FileReporter::mark(std::uint64_t step, std::string_view text) {
  Words words{head_.load(std::memory_order_relaxed), step, std::string(text)};
  const std::lock_guard lock(words_mutex_);
  if (words_.size() == kMostWords) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  words_.push_back(std::move(words));
}

void FileReporter::checkpointed(std::uint64_t step, const Path& folder) {
  mark(step, "checkpoint " + folder.native());
}

void FileReporter::resumed(std::uint64_t step, const Path& folder) {
  mark(step, "resumes from " + folder.native());
}

void FileReporter::write(std::string text) {
  // What a kill or a full disk has cut short is one line, and takes no other with it.
  if (may_be_torn_ && ends_within_a_line(file_)) text.insert(0, "\n");
  may_be_torn_ = !file_.write(bytes_of(text));
  // A full disk must not stop a run: what could not be written is counted.
  if (may_be_torn_) unwritten_.fetch_add(1, std::memory_order_relaxed);
}

void FileReporter::look_for_newer_attempt() {
  std::error_code unknown;
  if (newer_ && std::filesystem::exists(*newer_, unknown))
    superseded_.store(true, std::memory_order_relaxed);
}

void FileReporter::add_points(std::uint64_t& tail, std::uint64_t end, std::string& text) const {
  std::uint64_t step = ~std::uint64_t{0};
  if (tail == end) return;
  for (; tail != end; ++tail) {
    const Point& point = ring_[tail % kRing];
    if (point.step != step) {
      if (step != ~std::uint64_t{0}) text += "}\n";
      step = point.step;
      text += fmt::format("{{\"attempt\":{},\"step\":{}", attempt_, step);
    }
    if (std::isfinite(point.value)) {  // 17 digits: the value comes back bit for bit
      text += fmt::format(",\"{}\":{:.17g}", name_of(point.series), point.value);
    } else {
      text += fmt::format(",\"{}\":null", name_of(point.series));
    }
  }
  text += "}\n";
}

// In the order in which they came: the words are taken first, so that the points before each of
// them are in the ring by then.
void FileReporter::drain() {
  std::vector<Words> words;
  {
    const std::lock_guard lock(words_mutex_);
    words.swap(words_);
  }
  std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  const std::uint64_t head = head_.load(std::memory_order_acquire);
  std::string text;
  for (const Words& one : words) {
    add_points(tail, std::max(tail, one.behind), text);
    text += fmt::format("{{\"attempt\":{},\"step\":{},\"event\":{}}}\n", attempt_, one.step,
                        json_quoted(one.text));
  }
  add_points(tail, head, text);
  tail_.store(tail, std::memory_order_release);
  if (!text.empty()) write(std::move(text));
}

void FileReporter::run() {
  constexpr auto kPause = std::chrono::milliseconds(100);  // what kill -9 may take with it
  constexpr std::uint64_t kLookEvery = 10;                 // pauses
  for (std::uint64_t pause = 0; !stopping_.load(); ++pause) {
    drain();
    if (pause % kLookEvery == 0) look_for_newer_attempt();
    std::unique_lock lock(wake_mutex_);
    wake_.wait_for(lock, kPause, [this] { return stopping_.load(); });
  }
  drain();
}

}  // namespace longhaul::trainer
