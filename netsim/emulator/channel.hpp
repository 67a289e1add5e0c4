// Channel: one end of a Unix stream socket that carries lines and, with a line, file descriptors.
// Blocking unless polled first; a peer that does not read is given up, not waited for.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.hpp"
#include "netsim/config.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

inline constexpr std::size_t kFdsMax = 72;  // a namespace for each host, and one more

class Channel {
 public:
  Channel() = default;
  explicit Channel(Fd fd) : fd_(std::move(fd)) {}
  static Result<std::pair<Channel, Channel>> pair();

  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // Within a second, or kTimeout. At most kFdsMax descriptors.
  Result<> send_line(std::string_view line, std::span<const int> fds = {});

  // Reads what is there without blocking; false: the peer is gone. Then take lines from
  // next_line().
  enum class State : bool { kGone, kOpen };
  State fill(std::size_t line_max);
  std::optional<std::string> next_line();
  std::vector<Fd> take_fds() { return std::exchange(fds_, {}); }
  // The next line, waited for; kTimeout, or kLink if the peer is gone.
  Result<std::string> wait_line(Duration most, std::size_t line_max);

 private:
  Fd fd_;
  std::string in_;
  std::vector<Fd> fds_;
};

}  // namespace netsim::emulator
