// ScriptService: a session::Service for tests. It sends what the test queues, and as much bulk as
// wanted; it checks every body it gets against the number at its front, and that none comes twice.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <set>
#include <vector>

#include "lib/session/service.hpp"

namespace longhaul::test {

// A body whose bytes follow from its number; at least 8 bytes.
Slice make_body(std::uint64_t number, std::size_t bytes);
std::uint64_t number_of(const Slice& body);

class ScriptService final : public session::Service {
 public:
  struct Received {
    Time at;
    session::Lane lane;
    std::uint64_t number;
    std::size_t bytes;
  };

  void send(session::Lane lane, std::uint64_t number, std::size_t bytes, std::uint64_t key = 0,
            std::optional<Time> deadline = {});
  // So many bytes of bulk in messages of `message_bytes`, pulled as there is room.
  void send_bulk(std::uint64_t bytes, std::size_t message_bytes = 256U << 10);
  void send_endless_bulk(bool on) { endless_ = on; }

  const std::vector<Received>& received() const { return received_; }
  std::uint64_t bytes_in(session::Lane lane) const {
    return bytes_in_[static_cast<std::size_t>(lane)];
  }
  std::vector<std::uint64_t> numbers(session::Lane lane) const;
  std::uint64_t wrong() const { return wrong_; }  // bodies damaged or delivered twice
  const std::vector<std::pair<Time, session::LinkState>>& links() const { return links_; }
  const std::optional<Error>& end() const { return end_; }
  bool queue_empty() const { return queue_.empty() && bulk_left_ == 0; }
  void hold(std::size_t bytes) { held_ = bytes; }
  void keep(bool all) { keep_all_ = all; }  // received bodies count as held for good
  // A Job to hand out at the next poll.
  void hand_out(std::unique_ptr<Work> work) { works_.push_back(std::move(work)); }
  std::vector<JobId> jobs_back;
  // Called inside on_message, e.g. to answer.
  std::function<void(Time, session::Lane, const Slice&)> on_each;

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time now, Job done) override;
  void on_deadline(Time) override {}
  void on_link(Time now, session::LinkState state) override { links_.emplace_back(now, state); }
  void on_end(Time, const Error& why) override { end_ = why; }
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override { return std::nullopt; }
  std::size_t held() const override { return held_; }
  void check() const override {}

 private:
  std::deque<session::Message> queue_;
  std::deque<std::unique_ptr<Work>> works_;
  std::uint64_t next_job_ = 1;
  std::uint64_t bulk_left_ = 0, next_bulk_ = 1'000'000;
  std::size_t bulk_bytes_ = 256U << 10;
  bool endless_ = false, keep_all_ = false;
  std::size_t held_ = 0;
  std::vector<Received> received_;
  std::array<std::uint64_t, session::kLaneCount> bytes_in_{};
  std::set<std::pair<int, std::uint64_t>> seen_;
  std::uint64_t wrong_ = 0;
  std::vector<std::pair<Time, session::LinkState>> links_;
  std::optional<Error> end_;
};

}  // namespace longhaul::test
