// Running: the streamer that serves a root now: where it listens, so that `invite`, `start` and
// `carry` find it. The lock beside the file says whether it lives; the file alone proves nothing
// and stays behind when a streamer stops, so that the next one listens at the same place.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/io/endpoint.hpp"
#include "streamer/root.hpp"

namespace longhaul::streamer {

struct Running {
  io::Endpoint at;   // port 0: it listens nowhere, it dials
  std::string host;  // this host's name there and then
  std::int64_t pid = 0;
  std::string version;
  std::string gateway{};  // where it serves readers (streamer/gateway.hpp); empty: nowhere
  bool ended = false;     // it stopped as it should; for hosts that cannot see its locks
  bool operator==(const Running&) const = default;
};

std::string to_text(const Running& running);
Result<Running> parse_running(std::string_view text);

// Held by a streamer for its life: a lock in the root, which other hosts see where its file system
// has locks, and one beside its state, which this host sees in any case.
struct Hold {
  std::unique_ptr<store::FileLock> root, state;
};
// kBusy while another one serves this root; kUnsupported where there is no lock to be had at all.
Result<Hold> hold_root(const Root& root);
bool is_held(const Root& root);
Result<> save_running(const Root& root, const Running& running);
// Of the streamer that runs, or of the last one that did. nullopt: none did.
std::optional<Running> load_running(const Root& root);

std::string host_name();
// Where a process on this host reaches it.
io::Endpoint near(const io::Endpoint& listening);

}  // namespace longhaul::streamer
