// The dial reversed, for a site that takes no connections: it keeps a few open to the laptop,
// unused until the laptop begins TLS on one; from its first byte that one is a guest like any
// other, and another is dialled in its place. Only the dial is reversed: who is who, and who may do
// what, is as when the laptop dials.
#include <algorithm>
#include <utility>

#include "streamer/server.hpp"

namespace longhaul::streamer {
namespace {

// While no `longhaul` runs there every dial is refused: one a second finds it soon, one in five
// costs nothing over night.
constexpr Duration kRedialLeast = 500ms;
constexpr Duration kRedialMost = 5s;
// A NAT forgets an idle connection without a word; a fresh one is known to it.
constexpr Duration kOfferLife = 60s;

// A ClientHello, with room to spare.
constexpr std::size_t kFirstBytes = 4096;

}  // namespace

io::Task<> Server::reach(io::Endpoint to) {
  const io::StreamOptions options;
  Duration pause = kRedialLeast;
  bool told = false;
  while (!stopping_) {
    Result<std::unique_ptr<io::Stream>> dialed = co_await env_.dial(to, options);
    if (stopping_) break;
    bool taken = false;
    if (dialed) {
      std::unique_ptr<io::Stream> stream = *std::move(dialed);
      taken = co_await offer(std::move(stream));
    } else if (!std::exchange(told, true)) {
      LOG(log_, kInfo, "{}: trying on", dialed.error().message());
    }
    if (dialed) told = false;
    if (taken) {
      pause = kRedialLeast;
      continue;
    }
    const Time later = env_.now() + pause;
    co_await env_.sleep_until(later);
    pause = std::min(2 * pause, kRedialMost);
  }
}

// Whether the laptop used it.
io::Task<bool> Server::offer(std::unique_ptr<io::Stream> stream) {
  io::Stream* const key = stream.get();
  offers_[key] = env_.now();
  Result<Slice> first = co_await stream->read_at_most(kFirstBytes);
  offers_.erase(key);
  if (!first || first->empty() || stopping_) co_return false;
  receive(std::move(stream), *std::move(first));
  co_return true;
}

void Server::close_stale_offers() {
  for (const auto& [stream, since] : offers_)
    if (env_.now() - since > kOfferLife) stream->close();
}

}  // namespace longhaul::streamer
