// Order: what a command left with the daemon to be done when a site can be reached: a command to a
// run, a push, a checkpoint to be fetched, a run whose checkpoints are to be followed. A value, a
// line of JSON on the disk (order_queue.hpp) and on the socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::daemon {

enum class OrderKind : std::uint8_t {
  kSteer,
  kPush,
  kFetch,   // one checkpoint
  kFollow,  // each checkpoint of a run: it stands until it is withdrawn
};
enum class OrderState : std::uint8_t {
  kQueued,
  kSent,      // it may have arrived
  kReceived,  // durable at the site: it waits for the training program
  kRunning,   // a program of the daemon's is at it
  // What follows is final.
  kApplied,  // took effect; what was pushed or fetched is there
  kExpired,  // nothing was done
  kRefused,  // the site or the training program would not
  kDenied,   // this node may not
  kFailed,   // no further try will mend it
  kUnknown,  // it may have arrived, is too late to be sent again, and nobody told what became of it
  kMissing,  // the site has no such run
  kWithdrawn,
};
std::string_view name_of(OrderState state);
OrderState state_of(wire::SteerState state);
inline bool is_final(OrderState state) {
  return state >= OrderState::kApplied;
}

constexpr std::size_t kOrderTextMax = 64U << 10;
// As it is given: what is left is for what becomes of it.
constexpr std::size_t kOrderGivenMax = kOrderTextMax - (8U << 10);
constexpr std::size_t kOrderNoteMax = 1024;  // of `text`; on the disk, a byte takes up to 6
constexpr std::size_t kOrderListMax = 256;   // patterns of a push

struct Order {
  std::uint64_t number = 0;  // its place in the queue
  std::uint64_t id = 0;      // never 0; of a steer: the command's own
  OrderKind kind = OrderKind::kSteer;
  std::string site;
  std::string target;   // dataset or run; kFetch: RUN@STEP, or of a run the newest
  std::string command;  // kSteer: as run::parse_command() takes it
  // kPush: absolute paths.
  std::string source, files_from;
  std::string limit_rate, mode;  // as --limit-rate and --mode; empty: as the settings say
  std::vector<std::string> excludes, exclude_from;
  std::string into;        // kFetch, kFollow: the folder, absolute; limit_rate counts, too
  std::uint64_t keep = 0;  // kFollow; 0: all
  bool full = false, full_daily = false;
  // By this machine's clock. expires: kSteer; zero: never.
  WallTime made, expires;
  OrderState state = OrderState::kQueued;
  std::uint32_t attempt = 0;  // where it was decided; kFetch, kFollow: the one that came last
  std::uint64_t step = 0;
  std::uint32_t tries = 0;  // of all but kSteer
  std::string text;         // for people: what became of it, or why it waits; kept to kOrderNoteMax
  bool operator==(const Order&) const = default;
};

std::string to_text(const Order& order);  // one line, without its end
// kMalformed, kLimit: it is no order as to_text() writes them.
Result<Order> parse_order(std::string_view text);
// "lr=0.001 to lab/first", "push of /data/corpus to lab:corpus", "checkpoints of lab/first to
// /here"
std::string in_words(const Order& order);

}  // namespace longhaul::daemon
