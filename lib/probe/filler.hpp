// Filler: how long a session takes to move so many bytes to the site and so many back, as a service
// of the dialling side's session whose twin is ProbeSite. One over datagrams and one over TLS alone
// tell them apart, with all that a push would meet there. Session's strand.
//
//   Filler filler({.bytes = 8'000'000});          // a service of the session
//   filler.start(now);                            // once it is established
//   while (!filler.finished()) ..  filler.up(), filler.down()
#pragma once

#include <deque>
#include <optional>

#include "lib/probe/prober.hpp"
#include "lib/session/service.hpp"

namespace longhaul::probe {

struct FillerOptions {
  std::uint64_t bytes = 0;                      // each way
  Duration patience = std::chrono::minutes(1);  // each way; what takes longer is not waited for
};

class Filler final : public session::Service {
 public:
  explicit Filler(const FillerOptions& options) : options_(options) {}

  void start(Time now);
  bool finished() const { return stage_ == Stage::kDone; }
  const std::optional<Error>& error() const { return error_; }
  // From the first byte offered until all were there and, for up, the word of it was here.
  std::optional<Duration> up() const { return up_; }  // nothing: it took too long
  std::optional<Duration> down() const { return down_; }

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time, Job) override {}
  void on_deadline(Time now) override;
  void on_link(Time, session::LinkState) override {}
  void on_end(Time now, const Error& why) override;
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override;
  std::size_t held() const override { return 0; }
  void check() const override;

 private:
  enum class Stage : std::uint8_t { kWaiting, kOpening, kUp, kDown, kDone };
  void enter(Time now, Stage stage);
  void say(const wire::ProbeMessage& message);

  const FillerOptions options_;
  Stage stage_ = Stage::kWaiting;
  Time since_{};
  std::uint64_t to_send_ = 0, came_ = 0;
  std::deque<Slice> queued_;  // control
  std::optional<Duration> up_, down_;
  std::optional<Error> error_;
};

// Of `left` bytes that are to go: a message of bulk for them, of a fill of `total`.
session::Message fill_message(wire::ProbeId probe, std::uint64_t total, std::uint64_t* left);

}  // namespace longhaul::probe
