// DatagramPath: a session's messages in datagrams: what datagram::Channel asks its owner for. It
// takes fragments and control from the same Messages as the TLS paths do, so a message may cross
// both. Not thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/base/ring.hpp"
#include "lib/datagram/channel.hpp"
#include "lib/session/messages.hpp"
#include "lib/wire/datagram.hpp"

namespace longhaul::session {

class DatagramPath final : public datagram::Load {
 public:
  // Bytes of received messages that services hold, for the window.
  using Held = std::function<std::size_t()>;

  DatagramPath(Time now, std::uint32_t epoch, const datagram::EpochKeys& keys,
               const datagram::ChannelOptions& options, Messages& messages, Held held);

  datagram::Channel& channel() { return channel_; }
  const datagram::Channel& channel() const { return channel_; }
  std::uint32_t epoch() const { return epoch_; }
  Time since() const { return since_; }
  std::uint64_t take_acked_bytes() { return std::exchange(acked_bytes_, 0); }
  std::uint64_t acked_bytes() const { return acked_in_all_; }
  std::optional<wire::Goodbye> take_goodbye() { return std::exchange(goodbye_in_, std::nullopt); }
  // What is sent twice while packets are lost: control.
  void set_lossy(bool lossy) { lossy_ = lossy; }
  void say_window() { window_due_ = true; }
  void say_goodbye(wire::Goodbye goodbye) { goodbye_out_ = std::move(goodbye); }

  // datagram::Load
  bool has(Time now, bool urgent) const override;
  std::optional<Time> next_at(Time now) const override;
  void fill(Time now, datagram::Packing& packet, bool urgent) override;
  bool refill(const datagram::Item& item, datagram::Packing& packet) override;
  void accompany(datagram::Packing& packet) override;
  Result<> on_frame(Time now, std::uint8_t type, wire::Reader& in) override;
  void on_acked(const datagram::Item& item) override;
  void on_lost(const datagram::Item& item) override;

 private:
  struct Repeat {
    std::uint64_t number = 0;
    Time due{};
  };
  bool has_control(Time now) const;
  void fill_control(Time now, datagram::Packing& packet);
  bool put_control(std::uint64_t number, datagram::Packing& packet);
  bool put_data(const Fragment& fragment, datagram::Packing& packet);
  void put_window(datagram::Packing& packet, wire::DatagramFrame type);
  wire::Window window();

  const std::uint32_t epoch_;
  const Time since_;
  Messages& messages_;
  const Held held_;
  bool lossy_ = false, window_due_ = false;
  std::uint64_t control_next_ = 0;
  Ring<std::uint64_t> control_lost_;
  Ring<Repeat> control_again_;
  RepeatBudget repeats_;
  std::uint64_t acked_bytes_ = 0, acked_in_all_ = 0;
  std::optional<wire::Goodbye> goodbye_in_, goodbye_out_;
  datagram::Channel channel_;  // last: it may call back while it is made
};

}  // namespace longhaul::session
