#include "tests/session/script_service.hpp"

#include <cstring>

namespace longhaul::test {

using session::Lane;

namespace {
// A block of bytes to cut bodies from: generating each body anew would be most of a test's time.
const ByteVector& noise() {
  static const ByteVector bytes = [] {
    ByteVector out(session::kMessageMax + 4096);
    std::uint32_t x = 1;
    for (std::byte& byte : out) {
      x = x * 1664525U + 1013904223U;
      byte = static_cast<std::byte>(x >> 24);
    }
    return out;
  }();
  return bytes;
}
Bytes rest_of(std::uint64_t number, std::size_t bytes) {
  return Bytes(noise()).subspan(number % 4096, bytes);
}
}  // namespace

Slice make_body(std::uint64_t number, std::size_t bytes) {
  ASSERT(bytes >= 8);
  Buffer buffer(bytes);
  store_le<std::uint64_t>(buffer.bytes(), number);
  std::memcpy(buffer.bytes().data() + 8, rest_of(number, bytes - 8).data(), bytes - 8);
  return std::move(buffer).freeze(bytes);
}

std::uint64_t number_of(const Slice& body) {
  return load_le<std::uint64_t>(body.bytes());
}

void ScriptService::send(Lane lane, std::uint64_t number, std::size_t bytes, std::uint64_t key,
                         std::optional<Time> deadline) {
  queue_.push_back(session::Message{lane, make_body(number, bytes), key, deadline});
}

void ScriptService::send_bulk(std::uint64_t bytes, std::size_t message_bytes) {
  bulk_left_ += bytes;
  bulk_bytes_ = message_bytes;
}

std::optional<session::ServiceOutput> ScriptService::poll_output(Time, const session::Room& room) {
  if (!works_.empty()) {
    Job job{JobId(next_job_++), JobClass::kCompute, std::move(works_.front())};
    works_.pop_front();
    return job;
  }
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    if (!room.in(at->lane)) continue;
    session::Message out = std::move(*at);
    queue_.erase(at);
    return out;
  }
  if ((bulk_left_ > 0 || endless_) && room.in(Lane::kBulk)) {
    const std::size_t bytes =
        endless_ ? bulk_bytes_
                 : static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_, bulk_bytes_));
    if (!endless_) bulk_left_ -= bytes;
    session::Message message;
    message.body = make_body(next_bulk_++, std::max<std::size_t>(8, bytes));
    return message;
  }
  return std::nullopt;
}

void ScriptService::on_message(Time now, Lane lane, Slice message) {
  const std::uint64_t number = message.size() < 8 ? 0 : number_of(message);
  const bool whole =
      message.size() >= 8 && equal(message.bytes().subspan(8), rest_of(number, message.size() - 8));
  if (!whole || !seen_.emplace(static_cast<int>(lane), number).second) ++wrong_;
  received_.push_back(Received{now, lane, number, message.size()});
  bytes_in_[static_cast<std::size_t>(lane)] += message.size();
  if (keep_all_) held_ += message.size();
  if (on_each) on_each(now, lane, message);
}

void ScriptService::on_job(Time, Job done) {
  jobs_back.push_back(done.id);
}

std::vector<std::uint64_t> ScriptService::numbers(Lane lane) const {
  std::vector<std::uint64_t> out;
  for (const Received& received : received_) {
    if (received.lane == lane) out.push_back(received.number);
  }
  return out;
}

}  // namespace longhaul::test
