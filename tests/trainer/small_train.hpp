// A run of a small model in this process, and what it tells. No program, no signals, no time that
// decides: a test steps in where the run reports.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/engine/train.hpp"

namespace longhaul::trainer {

class SmallTrain : public testing::Test {
 protected:
  SmallTrain() {
    std::string text;  // ids of two bytes, each a byte of text
    for (int i = 0; i < 4000; ++i) text += {static_cast<char>('a' + i * i % 23), '\0'};
    std::ofstream(folder_.path() / "shard.u16", std::ios::binary) << text;
    options_.data = folder_.path() / "shard.u16";
    options_.run = folder_.path() / "run";
    options_.layers = 1;
    options_.hidden = 32;
    options_.batch = 2;
    options_.sequence = 16;
    options_.steps = 8;
    options_.say_every = 0;
  }

  Result<TrainSummary> train() {
    const OpenReporter open =
        [this](const RunOpening& opening) -> Result<std::unique_ptr<Reporter>> {
      if (on_claim_) on_claim_();
      const std::uint64_t attempt = claim_attempt(opening.run).value();
      return std::unique_ptr<Reporter>(std::make_unique<Told>(*this, attempt));
    };
    Control control;
    control_ = &control;
    Outside outside{console_, control, open, {}};
    return longhaul::trainer::train(outside, options_);
  }
  std::vector<std::string> checkpoints() const {
    std::vector<std::string> out;
    const std::vector<Path> paths = list_checkpoints(options_.run).value();
    for (const Path& path : paths) out.push_back(path.filename().native());
    return out;
  }
  bool said(const std::string& text) const {
    return console_.err_text.find(text) != std::string::npos;
  }
  std::size_t marks_with(const std::string& text) const {
    std::size_t count = 0;
    for (const std::string& mark : marks_) count += mark.find(text) != std::string::npos ? 1U : 0U;
    return count;
  }

  TemporaryFolder folder_;
  TrainOptions options_;
  cli::StringConsole console_;
  Control* control_ = nullptr;  // of the run that is at work
  std::function<void()> on_claim_;
  std::function<void(Series, std::uint64_t)> on_log_;
  std::function<void(Series, double)> on_value_;
  std::vector<std::string> marks_;
  std::vector<std::uint64_t> evaluated_;  // steps
  Reporter::Untold untold_;               // what its reporter is to say of itself

 private:
  class Told final : public Reporter {
   public:
    Told(SmallTrain& test, std::uint64_t attempt) : test_(test), attempt_(attempt) {}
    std::uint64_t attempt() const override { return attempt_; }
    void log(Series series, std::uint64_t step, double value) noexcept override {
      if (test_.on_value_) test_.on_value_(series, value);
      if (series == Series::kEvalLoss) test_.evaluated_.push_back(step);
      if (test_.on_log_) test_.on_log_(series, step);
    }
    void mark(std::uint64_t, std::string_view text) override { test_.marks_.emplace_back(text); }
    void checkpointed(std::uint64_t, const Path&) override {}
    void resumed(std::uint64_t, const Path&) override {}
    void end(std::string_view) override {}
    Untold untold() const override { return test_.untold_; }

   private:
    SmallTrain& test_;
    std::uint64_t attempt_;
  };
};

}  // namespace longhaul::trainer
