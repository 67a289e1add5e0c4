#include "netsim/emulator/link_control.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/escape.hpp"
#include "netsim/emulator/host.hpp"
#include "netsim/emulator/report.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::Kind;

constexpr std::size_t kPeersMax = 64;
constexpr std::string_view kMove = "move ", kAway = " away";

// Only our own user and root may steer a link.
bool is_trusted(int fd) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

bool asks_for_hosts(const ControlRequest& request) {
  const auto* get = std::get_if<GetRequest>(&request);
  return get != nullptr && get->what == "hosts";
}

}  // namespace

LinkControl::LinkControl(Ports ports, Fd listener, Channel owner, bool owned)
    : ports_(std::move(ports)), listener_(std::move(listener)), owned_(owned) {
  if (owner) peers_.push_back({std::move(owner), true});
}

std::vector<int> LinkControl::fds() const {
  std::vector<int> out;
  if (listener_) out.push_back(listener_.get());
  for (const Peer& peer : peers_) out.push_back(peer.channel.fd());
  return out;
}

void LinkControl::accept_new() {
  if (!listener_) return;
  for (;;) {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    if (peers_.size() >= kPeersMax || !is_trusted(fd.get())) continue;
    peers_.push_back({Channel(std::move(fd)), false});
  }
}

void LinkControl::serve() {
  accept_new();
  for (auto peer = peers_.begin(); peer != peers_.end();) {
    const auto state = peer->channel.fill(kControlLineMax);
    while (const auto line = peer->channel.next_line()) answer(peer->channel, *line);
    if (state == Channel::State::kGone) {
      if (peer->owner && owned_) down_ = true;
      peer = peers_.erase(peer);
    } else {
      ++peer;
    }
  }
}

void LinkControl::answer(Channel& channel, std::string_view line) {
  std::string link;
  const auto request = request_from_json(line, &link);
  const Result<std::string> done =
      request ? perform(*request, link) : Result<std::string>(fail(request.error()));
  const std::string reply = done ? ok_reply(*done) : error_reply(done.error());
  const bool with_hosts = done && asks_for_hosts(*request);
  const std::span<const int> none;
  // A peer that does not read its answer loses it; its connection ends at the next fill().
  (void)channel.send_line(reply, with_hosts ? std::span<const int>(ports_.hosts) : none);
}

Result<Link*> LinkControl::find_link(const std::string& name) {
  const auto& links = ports_.engine.topology().links;
  if (name.empty() && links.size() == 1) return &ports_.engine.link(0);
  std::string known;
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (links[i].name == name) return &ports_.engine.link(i);
    known += (known.empty() ? "" : ", ") + links[i].name;
  }
  return fail(Kind::kUsage,
              name.empty() ? "choose a link" : "find link '" + longhaul::printable(name, 70) + "'",
              "--link with one of " + known + " is expected");
}

Result<std::string> LinkControl::perform(const ControlRequest& request,
                                         const std::string& link_name) {
  if (const auto* set = std::get_if<SetRequest>(&request)) {
    Link* link = TRY(find_link(link_name));
    link->reconfigure(now(), TRY(with(link->config(), set->assignments)));
    ports_.engine.note_rtt();
    return to_json(link->config());
  }
  if (const auto* todo = std::get_if<DoRequest>(&request))
    return perform_do(todo->words, link_name);
  const std::string& what = std::get<GetRequest>(request).what;
  if (what == "stats") return ports_.stats();
  if (what == "counters") return counters_json(ports_.engine);
  if (what == "link") return to_json(TRY(find_link(link_name))->config());
  if (what == "hosts") return nlohmann::json(ports_.engine.topology().hosts).dump();
  return fail(Kind::kUsage, "get", "one of stats, counters, link, hosts is expected");
}

Result<std::string> LinkControl::perform_do(const std::string& words, const std::string& link) {
  if (words == "down") {
    down_ = true;
    return ports_.stats();
  }
  if (words.starts_with(kMove)) return move_host(std::string_view(words).substr(kMove.size()));
  const Happening happening = TRY(parse_happening(words));
  TRY(find_link(link))->apply(now(), happening);
  ports_.engine.note_rtt();
  return std::string("{}");
}

// HOST or HOST away.
Result<std::string> LinkControl::move_host(std::string_view words) {
  const bool away = words.ends_with(kAway);
  if (away) words.remove_suffix(kAway.size());
  const std::size_t host = TRY(find_host(ports_.engine.topology().hosts, std::string(words)));
  HostAddresses& addresses = ports_.addresses.at(host);
  nlohmann::ordered_json told{{"host", words}};
  if (away) {
    TRY(addresses.leave());
    return told.dump();
  }
  const AddressId now_at = TRY(addresses.move());
  told["address"] = address4(now_at);
  if (addresses.has_v6()) told["address6"] = address6(now_at);
  return told.dump();
}

void LinkControl::say_goodbye() {
  for (Peer& peer : peers_)
    if (peer.owner) (void)peer.channel.send_line(ok_reply(ports_.stats()));
}

}  // namespace netsim::emulator
