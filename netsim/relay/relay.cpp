#include "netsim/relay/relay.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <ctime>

#include <nlohmann/json.hpp>

#include "lib/base/escape.hpp"

namespace netsim::relay {
namespace {

using longhaul::fail;
using longhaul::Kind;

constexpr Duration kExpiryEvery = std::chrono::seconds(30);
constexpr int kRealTimePriority = 5;

std::int64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

Duration rtt_of(const LinkConfig& link) {
  return link.up.delay.base + link.down.delay.base;
}

double us(Duration d) {
  return static_cast<double>(d.count()) / 1e3;
}

nlohmann::ordered_json ways(const std::array<std::uint64_t, 2>& both) {
  return {{"up", both[0]}, {"down", both[1]}};
}

}  // namespace

Relay::Relay(const RelayOptions& options, Poller poller, Address target)
    : options_(options),
      poller_(std::move(poller)),
      rng_(options.seed, "relay"),
      started_ns_(monotonic_ns()),
      core_(options.config, rng_.stream("link"), Time{}),
      tcp_(core_, poller_, target),
      udp_(core_, poller_, target, rng_.stream("corrupt")),
      control_(poller_, [this](const ControlRequest& request) { return perform(request); }),
      rtt_least_(rtt_of(options.config.link)) {}

Result<std::unique_ptr<Relay>> Relay::open(const RelayOptions& options) {
  TRY(check(options.config.link));
  const Address target = TRY(parse_address(options.to));
  Poller poller = TRY(Poller::open());
  std::unique_ptr<Relay> relay(new Relay(options, std::move(poller), target));
  relay->address_ = TRY(parse_address(options.listen));
  TRY(relay->listen());
  return relay;
}

Result<> Relay::listen() {
  if (address_.get()->sa_family == AF_UNIX) options_.udp = false;
  if (options_.tcp) {
    TRY(tcp_.listen(address_));
    address_ = tcp_.listening_on();  // port 0 has become a real one; UDP takes the same
  }
  if (options_.udp) TRY(udp_.listen(address_));
  if (options_.control) {
    const Address control = TRY(parse_address(*options_.control));
    TRY(control_.listen(control));
  }
  return {};
}

Time Relay::now() const {
  return Time(Duration(monotonic_ns() - started_ns_));
}

void Relay::handle(const Poller::Event& event) {
  const Time at = now();
  switch (event.face) {
    case Face::kListener:
      return tcp_.on_acceptable(at);
    case Face::kClient:
    case Face::kServer:
      return tcp_.on_event(at, event.face, event.key, event.events);
    case Face::kDatagramIn:
      return udp_.on_client_readable(at);
    case Face::kDatagramOut:
      return udp_.on_server_readable(at, event.key);
    case Face::kControl:
      return control_.on_event(event.key);
    case Face::kSignal:
      stop_ = true;
      return;
  }
}

bool Relay::timed(const Output& output) const {
  return output.what == Output::What::kDatagram ||
         (output.what == Output::What::kConnection && output.action.what == Action::What::kWrite);
}

void Relay::drain() {
  const Time at = now();
  while (const auto output = core_.poll_output()) {
    if (timed(*output)) lateness_.add(at - output->at);
    switch (output->what) {
      case Output::What::kConnection:
        tcp_.on_output(at, *output);
        break;
      case Output::What::kDatagram:
      case Output::What::kDatagramLost:
        udp_.on_output(*output);
        break;
      case Output::What::kRebind:
        udp_.rebind();
        break;
    }
  }
}

Result<> Relay::run(const Fd& stop) {
  poller_.add(stop, Face::kSignal, 0, /*level=*/true);
  (void)prctl(PR_SET_TIMERSLACK, 1UL);
  const sched_param priority{kRealTimePriority};
  (void)sched_setscheduler(0, SCHED_RR, &priority);  // where it is allowed
  while (!stop_) {
    core_.on_deadline(now());
    drain();
    const bool busy = tcp_.read_more(now()) == TcpFace::Progress::kSome;
    drain();
    std::optional<Duration> wait;
    if (const auto next = core_.next_deadline()) wait = *next - now();
    const auto events = poller_.wait(busy ? Duration{0} : wait);
    for (const Poller::Event& event : events) {
      handle(event);
      drain();
    }
    if (now() >= next_expiry_) {
      udp_.expire(now());
      next_expiry_ = now() + kExpiryEvery;
    }
  }
  return {};
}

Result<std::string> Relay::perform(const ControlRequest& request) {
  if (const auto* set = std::get_if<SetRequest>(&request)) {
    core_.reconfigure(now(), TRY(with(core_.config(), set->assignments)));
    rtt_least_ = std::min(rtt_least_, rtt_of(core_.config().link));
    return to_json(core_.config());
  }
  if (const auto* todo = std::get_if<DoRequest>(&request)) return perform_do(todo->words);
  const std::string& what = std::get<GetRequest>(request).what;
  if (what == "config" || what == "link") return to_json(core_.config());
  if (what == "counters" || what == "stats") return summary();
  return fail(Kind::kUsage, "get", std::string("config or counters is expected"));
}

Result<std::string> Relay::perform_do(std::string_view words) {
  if (words == "stop") {
    stop_ = true;
  } else if (words == "reset") {
    core_.reset_all(now());
  } else if (words == "half-close up" || words == "half-close down") {
    core_.half_close_all(now(), words.ends_with("up") ? Direction::kUp : Direction::kDown);
  } else if (words == "down") {
    tcp_.close_listener();
    core_.reset_all(now());
  } else if (words == "up") {
    TRY(tcp_.reopen());
  } else {
    const auto what = parse_happening(words);
    if (!what)
      return fail(Kind::kUsage, what.error().attempt(),
                  what.error().why() + "; or reset, half-close up|down, down, up, stop");
    core_.happen(now(), *what);
    rtt_least_ = std::min(rtt_least_, rtt_of(core_.config().link));
  }
  return std::string("{}");
}

std::optional<std::string> Relay::invalid_because() const {
  return netsim::invalid_because(lateness_, rtt_least_);
}

std::string Relay::summary() const {
  const CoreCounters c = core_.counters();
  const auto why = invalid_because();
  nlohmann::ordered_json json;
  json["face"] = "relay";
  json["listen"] = to_text(address_);
  json["to"] = options_.to;
  json["seed"] = options_.seed;
  json["seconds"] = static_cast<double>((now() - Time{}).count()) / 1e9;
  json["config"] = nlohmann::ordered_json::parse(to_json(core_.config()));
  json["connections"] = {{"total", c.connections},
                         {"open", core_.connections()},
                         {"refused", c.refused},
                         {"resets", c.resets},
                         {"accept_failures", tcp_.accept_failures()}};
  json["bytes"] = ways(c.bytes);
  json["segments"] = ways({c.flows[0].segments, c.flows[1].segments});
  json["repeats"] = ways({c.flows[0].repeats, c.flows[1].repeats});
  json["timeouts"] = ways({c.flows[0].timeouts, c.flows[1].timeouts});
  json["datagrams"] = ways(c.datagrams);
  json["datagrams_lost"] = ways(c.datagrams_lost);
  json["datagrams_overflow"] = udp_.overflow();
  json["datagrams_unsendable"] = udp_.send_failures();
  json["lateness_us"] = {{"count", lateness_.count()},
                         {"p50", us(lateness_.quantile(0.5))},
                         {"p99", us(lateness_.quantile(0.99))},
                         {"max", us(lateness_.max())}};
  json["valid"] = !why.has_value();
  json["why"] = why.value_or("");
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace netsim::relay
