#include "netsim/relay/relay_control.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <cerrno>

namespace netsim::relay {
namespace {
constexpr std::size_t kPeersMax = 64;
}

RelayControl::RelayControl(Poller& poller, Perform perform)
    : poller_(poller), perform_(std::move(perform)) {}

RelayControl::~RelayControl() {
  if (!unix_path_.empty()) (void)unlink(unix_path_.c_str());
}

Result<> RelayControl::listen(const Address& address) {
  if (!is_loopback(address))
    return longhaul::fail(longhaul::Kind::kUsage, fmt::format("control on {}", to_text(address)),
                          std::string("whoever can connect can command: unix or loopback only"));
  listener_ = TRY(listen_stream(address));
  if (address.get()->sa_family == AF_UNIX)
    unix_path_ = reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
  poller_.add(listener_, Face::kControl, 0, /*level=*/true);
  return {};
}

void RelayControl::accept_peer() {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd || peers_.size() >= kPeersMax) return;
  const std::uint64_t key = next_key_++;
  poller_.add(fd, Face::kControl, key, /*level=*/true);
  peers_[key] = Peer{std::move(fd), {}};
}

void RelayControl::answer(const Fd& fd, std::string_view line) {
  const auto request = request_from_json(line);
  const auto done =
      request ? perform_(*request) : Result<std::string>(longhaul::fail(request.error()));
  const std::string reply = (done ? ok_reply(*done) : error_reply(done.error())) + "\n";
  // A peer that does not read its answers loses what its socket cannot hold.
  (void)send(fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
}

void RelayControl::on_event(std::uint64_t key) {
  if (key == 0) return accept_peer();
  const auto found = peers_.find(key);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  char bytes[4096];
  const ssize_t got = recv(peer.fd.get(), bytes, sizeof bytes, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) peer.line.append(bytes, static_cast<std::size_t>(got));
  for (auto end = peer.line.find('\n'); end != std::string::npos; end = peer.line.find('\n')) {
    answer(peer.fd, std::string_view(peer.line).substr(0, end));
    peer.line.erase(0, end + 1);
  }
  if (got <= 0 || peer.line.size() > kControlLineMax) peers_.erase(found);
}

}  // namespace netsim::relay
