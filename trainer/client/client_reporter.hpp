// ClientReporter: the Reporter of a trainer that has longhaul.h, the C interface any training
// program may use. RUN is its folder: a streamer that has it below ROOT/runs shows and steers it.
#pragma once

#include <array>

#include "lib/client/longhaul.h"
#include "trainer/reporter.hpp"

namespace longhaul::trainer {

class ClientReporter final : public Reporter {
 public:
  // Begins the run's next attempt; its number is the run log's.
  static Result<std::unique_ptr<Reporter>> begin(const RunOpening& opening);
  ~ClientReporter() override;

  std::uint64_t attempt() const override { return attempt_; }
  void log(Series series, std::uint64_t step, double value) noexcept override;
  void mark(std::uint64_t step, std::string_view text) override;
  void checkpointed(std::uint64_t step, const Path& folder) override;
  void resumed(std::uint64_t step, const Path& folder) override;
  std::optional<Command> poll(std::uint64_t step) override;
  void answer(const Command& command, std::uint64_t step, const Result<>& done) override;
  bool superseded() const override { return longhaul_superseded(run_) != 0; }
  void end(std::string_view why) override;
  Untold untold() const override { return untold_; }

 private:
  explicit ClientReporter(longhaul_run* run);

  longhaul_run* run_;  // null once it has ended
  std::uint64_t attempt_;
  std::array<std::uint32_t, kSeriesCount> series_;
  Untold untold_;                        // once it has ended
  std::unique_ptr<FileReporter> lines_;  // RUN/metrics.jsonl, if asked for
};

}  // namespace longhaul::trainer
