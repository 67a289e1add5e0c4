#include "tools/netsim/link_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "netsim/profile.hpp"
#include "netsim/quantity.hpp"
#include "netsim/settings.hpp"
#include "tools/netsim/files.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

using longhaul::fail;
using longhaul::Kind;

constexpr std::uint32_t kEthernetMtu = 1500;

// "60s/2s": two seconds of outage, a minute after the start.
Result<Event> parse_outage(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos)
    return fail(Kind::kUsage, "read --outage " + text, "as AT/LENGTH, for example 60s/2s");
  const Duration at = TRY(parse_duration(std::string_view(text).substr(0, slash)));
  const Duration length = TRY(parse_duration(std::string_view(text).substr(slash + 1)));
  return Event{at, std::nullopt, Outage{length}};
}

}  // namespace

void LinkOptions::add_to(CLI::App& command) {
  command.add_option("--profile", profile_, "a named link (netsim profiles) or a profile's file");
  command.add_option("--topology", topology_, "hosts and links from this file (docs/netsim.md)");
  for (const KeyHelp& help : key_help()) {
    const std::string key(help.key);
    command.add_option("--" + key, settings_[key], std::string(help.meaning))
        ->type_name(std::string(help.form))
        ->group("Link (--up.KEY, --down.KEY: one direction)");
    if (key == "rtt") continue;
    for (const char* way : {"up.", "down."})
      command.add_option("--" + (way + key), settings_[way + key])->group("");
  }
  command.add_option("--outage", outages_, "nothing passes, LENGTH long, from AT on")
      ->type_name("AT/LENGTH")
      ->group("Events");
  command.add_option("--event", events_, "e.g. \"at 60s every 1h route +17ms\"")->group("Events");
  command.add_option("--pcap", capture_path_, "write what the link sees to this file (pcapng)");
  command.add_option("--seed", seed_, "of all randomness; default: drawn, and reported");
  command
      .add_option("--congestion", congestion_, "cubic, bbr, reno: locked for all TCP connections")
      ->group("Hosts");
  command.add_option("--host", tuning_, "untuned: Linux' default buffers; tuned: 128 MiB; as-is")
      ->group("Hosts");
  command.add_option("--backend", backend_, "auto, tun, packet")->group("Hosts");
  command.add_flag("--user-namespace", user_namespace_, "work as without root, also as root")
      ->group("Hosts");
  command.add_flag("--no-offload", no_offload_, "every packet alone (slower; TUN only)")
      ->group("Hosts");
}

Result<LinkConfig> LinkOptions::read_link() const {
  LinkConfig link;
  if (!profile_.empty()) link = TRY(find_profile(profile_)).link;
  std::vector<Assignment> assignments;
  for (const auto& [key, value] : settings_)
    if (!value.empty()) assignments.push_back({key, value});
  link = TRY(with(link, assignments, trace_files()));
  for (const std::string& text : outages_) link.events.push_back(TRY(parse_outage(text)));
  for (const std::string& text : events_)
    link.events.push_back(TRY(parse_event(text, trace_files())));
  std::stable_sort(link.events.begin(), link.events.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
  TRY(check(link));
  return link;
}

bool LinkOptions::describes_a_link() const {
  const bool set = std::any_of(settings_.begin(), settings_.end(),
                               [](const auto& setting) { return !setting.second.empty(); });
  return set || !profile_.empty() || !outages_.empty() || !events_.empty();
}

Result<Topology> LinkOptions::read_topology() const {
  if (topology_.empty()) return two_hosts(TRY(read_link()));
  if (describes_a_link())
    return fail(Kind::kUsage, "read --topology " + topology_,
                "links are described in the file, not by options beside it");
  const std::string text = TRY(read_file(topology_));
  const auto profile_of = [](std::string_view name) { return find_profile(std::string(name)); };
  auto topology = topology_from_json(text, trace_files(), profile_of);
  if (!topology) return fail(named(topology_, topology.error()));
  return topology;
}

Result<emulator::EmulatorOptions> LinkOptions::read() const {
  emulator::EmulatorOptions out;
  out.topology = TRY(read_topology());
  if (seed_.empty())
    out.seed = std::random_device()();
  else
    out.seed = TRY(parse_count(seed_, 0, std::numeric_limits<std::uint64_t>::max()));
  const auto backend = emulator::backend_of(backend_);
  if (!backend)
    return fail(Kind::kUsage, "read --backend " + backend_, "auto, tun or packet is expected");
  const auto tuning = emulator::tuning_of(tuning_);
  if (!tuning)
    return fail(Kind::kUsage, "read --host " + tuning_, "untuned, tuned or as-is is expected");
  out.capture_path = capture_path_;
  out.host.backend = *backend;
  out.host.tuning = *tuning;
  out.host.user_namespace = user_namespace_;
  out.host.offload = !no_offload_;
  out.host.congestion = congestion_;
  out.host.mtu = kEthernetMtu;
  for (const TopologyLink& link : out.topology.links)
    out.host.mtu = std::max({out.host.mtu, link.config.up.mtu_bytes, link.config.down.mtu_bytes});
  return out;
}

}  // namespace netsim::tool
