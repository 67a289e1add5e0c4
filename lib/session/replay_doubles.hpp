// What stands in for a session's connections and services while it is replayed: each answers with
// what the trace says next, and hands what the session does to the script to be compared. For
// lib/session only.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/session/replay_script.hpp"

namespace longhaul::session {

// What stands for a payload that was not kept: as long, and the same for the same hash.
inline Slice body_of(const trace::Content& content, bool kept, BufferPool& pool) {
  const std::size_t size = content.bytes;
  Buffer buffer = pool.take(std::max<std::size_t>(1, size));
  const MutableBytes out = buffer.bytes().first(size);
  if (kept && content.kept.size() == size) {
    std::copy(content.kept.begin(), content.kept.end(), out.begin());
  } else {
    for (std::size_t i = 0; i < size; ++i)
      out[i] = content.kept.empty() ? std::byte{0} : content.kept[i % content.kept.size()];
  }
  return std::move(buffer).freeze(size);
}

class ReplayPath final : public FramePath {
 public:
  ReplayPath(Script& script, BufferPool& pool, std::uint32_t number, bool keeps)
      : script_(script), pool_(pool), number_(number), keeps_(keeps) {}

  void adopted(const trace::Adopted& record) {
    peer_ = record.peer;
    output_bytes_ = record.output_bytes;
  }
  void turn() {
    const auto* record = script_.peek_of_path<trace::Turned>(number_);
    if (record == nullptr) return;
    output_bytes_ += record->more_output;
    if (record->peer.has_value()) peer_ = record->peer;
    if (record->broken.has_value()) error_ = from_trace(*record->broken);
    script_.take();
  }

  Result<> feed(const Slice&) override {
    turn();
    if (error_.has_value()) return fail(*error_);
    return {};
  }
  bool secured() const override { return peer_.has_value(); }
  crypto::Pin peer() const override { return peer_.value_or(crypto::Pin{}); }
  const std::optional<Error>& error() const override { return error_; }

  Result<std::optional<Frame>> next_frame() override {
    if (const auto* bad = script_.peek_of_path<trace::Unreadable>(number_)) {
      const Error why = from_trace(bad->why);
      script_.take();
      turn();
      return fail(why);
    }
    std::optional<Frame> frame;
    if (const auto* in = script_.peek_of_path<trace::Received>(number_)) {
      frame = frame_of(*in);
      script_.take();
    }
    turn();
    return frame;
  }
  void seal(Bytes frame) override {
    trace::Sent sent = sent_frame(number_, frame, keeps_);
    if (!keeps_) sent.payload.kept.clear();
    script_.expect(sent);
    turn();
  }
  void send_close() override { turn(); }
  std::size_t output_bytes() const override { return output_bytes_; }
  Slice take_output() override {
    if (output_bytes_ == 0 || script_.diverged()) return {};
    const auto* taken = script_.peek_of_path<trace::Taken>(number_);
    if (taken == nullptr || taken->bytes == 0 || taken->bytes > output_bytes_) {
      script_.diverge("bytes out of connection " + std::to_string(number_));
      return {};
    }
    const std::size_t size = taken->bytes;
    script_.take();
    output_bytes_ -= size;
    Buffer zeros = pool_.take(size);
    return std::move(zeros).freeze(size);
  }
  crypto::Digest exported(std::string_view label) const override {
    return crypto::sha256(std::to_string(number_) + std::string(label));
  }

 private:
  Frame frame_of(const trace::Received& in) const {
    Frame frame;
    frame.type = static_cast<wire::FrameType>(in.type);
    const Slice payload = body_of(in.payload, keeps_, pool_);
    const std::size_t size = in.head.size() + payload.size();
    Buffer whole = pool_.take(std::max<std::size_t>(1, size));
    std::copy(in.head.begin(), in.head.end(), whole.bytes().begin());
    std::copy(payload.bytes().begin(), payload.bytes().end(),
              whole.bytes().subspan(in.head.size()).begin());
    frame.body = std::move(whole).freeze(size);
    return frame;
  }

  Script& script_;
  BufferPool& pool_;
  const std::uint32_t number_;
  const bool keeps_;
  std::optional<crypto::Pin> peer_;
  std::optional<Error> error_;
  std::size_t output_bytes_ = 0;
};

class ReplayService final : public Service {
 public:
  ReplayService(Script& script, BufferPool& pool, std::uint8_t number, bool keeps)
      : script_(script), pool_(pool), number_(number), keeps_(keeps) {}

  void on_message(Time, Lane lane, Slice message) override {
    script_.expect(trace::Delivered{number_, static_cast<std::uint8_t>(lane),
                                    static_cast<std::uint32_t>(message.size())});
    became();
  }
  void on_job(Time, Job) override { became(); }
  void on_deadline(Time) override { became(); }
  void on_link(Time, LinkState) override { became(); }
  void on_end(Time, const Error&) override { became(); }
  std::optional<ServiceOutput> poll_output(Time, const Room& room) override {
    std::optional<ServiceOutput> output;
    if (const auto* said = script_.peek_of_service<trace::Said>(number_)) {
      output = message_of(*said, room);
      if (output.has_value()) script_.take();
    } else if (const auto* job = script_.peek_of_service<trace::Ordered>(number_)) {
      output = Job{JobId(job->job), static_cast<JobClass>(job->where % 3), nullptr};
      script_.take();
    }
    became();
    return output;
  }
  std::optional<Time> next_deadline() const override { return deadline_; }
  std::size_t held() const override { return held_; }
  void check() const override {}

  void apply(const trace::Became& record) {
    held_ = record.held;
    deadline_.reset();
    if (record.deadline.has_value()) deadline_ = time_from_trace(*record.deadline);
  }

 private:
  void became() {
    const auto* record = script_.peek_of_service<trace::Became>(number_);
    if (record == nullptr || !record->inside) return;
    apply(*record);
    script_.take();
  }
  std::optional<ServiceOutput> message_of(const trace::Said& said, const Room& room) {
    const std::size_t most = said.lane == 0 ? kControlMessageMax : kMessageMax;
    if (said.lane >= kLaneCount || said.body.bytes == 0 || said.body.bytes > most ||
        !room.in(static_cast<Lane>(said.lane))) {
      script_.diverge("no room for a message of service " + std::to_string(number_));
      return std::nullopt;
    }
    Message message;
    message.lane = static_cast<Lane>(said.lane);
    message.body = body_of(said.body, keeps_, pool_);
    message.key = said.key;
    if (said.deadline.has_value()) message.deadline = time_from_trace(*said.deadline);
    return message;
  }

  Script& script_;
  BufferPool& pool_;
  const std::uint8_t number_;
  const bool keeps_;
  std::size_t held_ = 0;
  std::optional<Time> deadline_;
};

}  // namespace longhaul::session
