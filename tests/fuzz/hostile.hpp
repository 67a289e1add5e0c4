// What the fuzz targets that attack a Session share: a service that takes whatever comes, an
// identity, the input as numbers worth trying.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/crypto/tls_context.hpp"
#include "lib/session/session.hpp"

namespace longhaul::fuzz {

using namespace longhaul::session;

class Sink final : public Service {  // takes and lets go; answers now and then
 public:
  void on_message(Time, Lane lane, Slice message) override {
    ASSERT(!message.empty() && message.size() <= kMessageMax);
    ASSERT(lane != Lane::kControl || message.size() <= kControlMessageMax);
    if (message.size() % 3 == 0) ++answers_;
  }
  void on_job(Time, Job) override {}
  void on_deadline(Time) override {}
  void on_link(Time, LinkState) override {}
  void on_end(Time, const Error&) override {}
  std::optional<ServiceOutput> poll_output(Time, const Room& room) override {
    if (answers_ == 0 || !room.in(Lane::kControl)) return std::nullopt;
    --answers_;
    return Message{Lane::kControl, Slice::copy_of("answer"), 0, {}};
  }
  std::optional<Time> next_deadline() const override { return std::nullopt; }
  std::size_t held() const override { return 0; }
  void check() const override {}

 private:
  std::uint32_t answers_ = 0;
};

inline crypto::Identity identity_of(std::uint8_t number) {
  std::array<std::byte, crypto::Identity::kSecretBytes> secret{};
  secret.fill(static_cast<std::byte>(number));
  return crypto::Identity::from_entropy(secret);
}

class Input {
 public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto out = std::to_integer<std::uint8_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return out;
  }
  // Small numbers, unit multiples and the ends of the range, all of which matter more than others.
  std::uint64_t number() {
    const std::uint8_t kind = byte();
    const std::uint64_t value = byte();
    switch (kind % 6) {
      case 0:
        return value;
      case 1:
        return value * 1024;
      case 2:
        return value << 16;
      case 3:
        return ~value;
      case 4:
        return (std::uint64_t{1} << (value % 64)) - 1;
      default:
        return value % 3;
    }
  }

 private:
  Bytes bytes_;
};

// A body of so many equal bytes.
inline Slice body_of(std::size_t bytes) {
  Buffer buffer(std::max<std::size_t>(1, bytes));
  std::fill(buffer.bytes().begin(), buffer.bytes().end(), std::byte{7});
  return std::move(buffer).freeze(bytes);
}

}  // namespace longhaul::fuzz
