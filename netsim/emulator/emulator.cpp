#include "netsim/emulator/emulator.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "netsim/emulator/capture.hpp"
#include "netsim/emulator/link_control.hpp"
#include "netsim/emulator/link_name.hpp"
#include "netsim/emulator/pacer.hpp"
#include "netsim/emulator/report.hpp"
#include "netsim/emulator/socket_watch.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {
namespace {

using longhaul::Error;
using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;
using Json = nlohmann::ordered_json;

constexpr int kRealtimePriority = 10;
constexpr Duration kReadyMost = std::chrono::seconds(20);

bool become_realtime() {
  ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  const sched_param priority{kRealtimePriority};
  return ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) == 0;
}

// How the child tells why it could not start.
std::string failure_line(const Error& error) {
  const Json json{{"ok", false},
                  {"kind", static_cast<int>(error.kind())},
                  {"why", error.message()},
                  {"advice", error.advice()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Error failure_of(const Json& json) {
  return Error(static_cast<Kind>(json.at("kind").get<int>()), "set up the link",
               json.at("why").get<std::string>())
      .advise(json.at("advice").get<std::string>());
}

timespec timespec_of(Duration span) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(span);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((span - seconds).count())};
}

// Packets move until a request ends it or a port fails.
Result<> move_packets(Engine& engine, const std::vector<Port*>& ports, LinkControl& control) {
  bool more = false;
  Pacer pacer;
  std::vector<pollfd> polled;
  while (!control.is_down()) {
    polled.clear();
    for (Port* port : ports) polled.push_back({port->fd(), POLLIN, 0});
    for (const int fd : control.fds()) polled.push_back({fd, POLLIN, 0});
    const Duration nap = more ? Duration{} : pacer.nap(now(), engine.next_deadline());
    const timespec limit = timespec_of(nap);
    const int ready = ::ppoll(polled.data(), polled.size(), &limit, nullptr);
    if (ready < 0 && errno != EINTR) return fail_errno("poll", errno);
    if (ready == 0 && nap > Duration(0)) pacer.on_wake(now());
    more = engine.deliver(now()) == Engine::More::kYes;
    for (std::size_t host = 0; host < ports.size(); ++host) {
      if (polled[host].revents == 0) continue;
      TRY(engine.receive(host));
      more = engine.deliver(now()) == Engine::More::kYes || more;
    }
    bool asked = false;
    for (std::size_t i = ports.size(); i < polled.size(); ++i)
      asked = asked || polled[i].revents != 0;
    if (asked) control.serve();
  }
  return {};
}

Result<> run_emulator(const EmulatorOptions& options, Channel& owner) {
  Fd listener;
  if (!options.name.empty()) listener = TRY(listen_as(options.name));
  const std::vector<std::string>& names = options.topology.hosts;
  std::unique_ptr<Capture> capture;
  if (!options.capture_path.empty()) capture = TRY(Capture::create(options.capture_path, names));
  Hosts hosts = TRY(build_hosts(options.host, names.size()));
  const Time start = now();
  std::vector<Port*> ports;
  std::vector<int> spaces;
  for (const auto& port : hosts.ports) ports.push_back(port.get());
  for (const Fd& space : hosts.net_namespaces) spaces.push_back(space.get());
  if (hosts.user_namespace) spaces.push_back(hosts.user_namespace->get());
  Engine engine(options.topology, options.seed, ports, start);
  if (capture) engine.watch([&](const SegmentView& view) { capture->add(view); });
  SocketWatch watch(std::move(hosts.sockets));  // before real time: its thread must not have it
  RunFacts facts{hosts.backend, become_realtime(), options.seed, hosts.notes, {}, 0, 0, {}};
  const auto stats = [&] {
    facts.elapsed = now() - start;
    facts.dropped_before_link = 0;
    for (Port* port : ports) facts.dropped_before_link += port->dropped();
    facts.sockets = watch.facts();
    facts.capture_lost = capture ? capture->left_out() : 0;
    return report_json(engine, facts);
  };
  TRY(owner.send_line(ok_reply(Json{{"backend", hosts.backend}, {"notes", hosts.notes}}.dump()),
                      spaces));
  LinkControl control({engine, stats, spaces, hosts.addresses}, std::move(listener),
                      std::move(owner), !options.outlives_us);
  const auto moved = move_packets(engine, ports, control);
  control.say_goodbye();
  if (!options.name.empty()) forget(options.name);
  return moved;
}

[[noreturn]] void be_emulator(const EmulatorOptions& options, Channel owner) {
  ::setsid();  // the terminal's signals are for the command
  // A named one sees its owner's channel close instead, and takes its socket away before it ends.
  if (!options.outlives_us && options.name.empty()) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "netsim-link");
  ::signal(SIGPIPE, SIG_IGN);
  if (options.outlives_us) {
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
  }
  int code = 0;
  try {
    if (const auto done = run_emulator(options, owner); !done) {
      if (owner) (void)owner.send_line(failure_line(done.error()));
      code = 1;
    }
  } catch (const std::exception& e) {
    if (owner) (void)owner.send_line(failure_line(Error(Kind::kIo, "run the emulator", e.what())));
    code = 1;
  }
  ::_exit(code);
}

}  // namespace

Spaces Spaces::of(std::vector<std::string> names, std::vector<Fd> fds) {
  Spaces out;
  if (fds.size() == names.size() + 1) {
    out.user = std::move(fds.back());
    fds.pop_back();
  }
  out.names = std::move(names);
  out.hosts = std::move(fds);
  return out;
}

Result<std::size_t> Spaces::find(const std::string& name) const {
  return find_host(names, name);
}

Result<Emulator> start_emulator(const EmulatorOptions& options) {
  auto [ours, theirs] = TRY(Channel::pair());
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start the emulator", errno);
  if (pid == 0) {
    ours.close();
    be_emulator(options, std::move(theirs));
  }
  theirs.close();
  Emulator out;
  out.pid = pid;
  out.channel = std::move(ours);
  const auto line = TRY(out.channel.wait_line(kReadyMost, kLinkJsonMax));
  const auto reply = Json::parse(line, nullptr, false);
  if (reply.is_discarded() || !reply.contains("ok"))
    return fail(Kind::kMalformed, "start the emulator");
  if (!reply["ok"].get<bool>()) return fail(failure_of(reply));
  out.backend = reply["result"]["backend"].get<std::string>();
  out.notes = reply["result"]["notes"].get<std::vector<std::string>>();
  out.spaces = Spaces::of(options.topology.hosts, out.channel.take_fds());
  return out;
}

}  // namespace netsim::emulator
