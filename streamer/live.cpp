#include "streamer/live.hpp"

#include <algorithm>
#include <thread>

#include "lib/base/escape.hpp"
#include "streamer/datasets.hpp"

namespace longhaul::streamer {
namespace {

// Seconds in which any thread was in a stage, and in brackets the sum over threads.
std::string work_of(const StageClock& stages) {
  std::string text;
  for (std::size_t i = 0; i < kWorkStageNames.size(); ++i) {
    const StageClock::Figures figures = stages.at(static_cast<WorkStage>(i));
    text += fmt::format("{}{} {:.2f} ({:.2f})", i == 0 ? "" : ", ", kWorkStageNames[i],
                        static_cast<double>(figures.busy.count()) / 1e9,
                        static_cast<double>(figures.spent.count()) / 1e9);
  }
  return text;
}

// What the peer's transfers came to, for whoever reads the site's log.
void tell(Log& log, const StageClock& stages, transfer::Exchange& exchange, feed::Feeder& feeder,
          probe::ProbeSite& probe, io::Pump& pump) {
  if (const auto broken = probe.take_broken()) {
    LOG(log, kWarn, "a peer broke the protocol: {}", broken->message());
    pump.end(*broken);
  }
  if (const auto broken = feeder.take_broken()) {
    LOG(log, kWarn, "a peer broke the protocol: {}", broken->message());
    pump.end(*broken);
  }
  while (std::optional<transfer::Event> event = exchange.poll_event()) {
    if (const auto* finished = std::get_if<transfer::Finished>(&*event)) {
      const std::string dataset = printable(finished->dataset, 80);
      if (finished->error) {
        LOG(log, kWarn, "transfer of '{}': {}", dataset, finished->error->message());
      } else {
        LOG(log, kInfo, "transfer of '{}' is done; seconds of work so far: {}", dataset,
            work_of(stages));
      }
    } else if (const auto* broken = std::get_if<transfer::PeerBroken>(&*event)) {
      LOG(log, kWarn, "a peer broke the protocol: {}", broken->why.message());
      pump.end(broken->why);
    }
  }
}

transfer::ExchangeOptions exchange_options(const wire::Hello& hello, StageClock& stages) {
  transfer::ExchangeOptions options;
  options.cores = std::max(1U, std::thread::hardware_concurrency());
  options.encode_jobs = 2 * options.cores;
  options.peer_knows_demand = (hello.capabilities & session::kCapabilityDemand) != 0;
  options.peer_knows_base_parts = (hello.capabilities & session::kCapabilityBaseParts) != 0;
  options.clocks = {&io::thread_cpu_time, &stages};
  return options;
}

}  // namespace

std::shared_ptr<Live> Live::make(io::Env& env, Log& log, std::shared_ptr<Datasets> datasets,
                                 BufferPool& pool, io::DatagramHub* hub, probe::Gate& gate,
                                 const auth::Peer& peer, const session::LinkMemory& known,
                                 session::Arrival& arrival, session::PathId& first) {
  auto live = std::make_shared<Live>();
  live->peer = peer.pin;
  live->role = peer.role;
  feed::FeederOptions feeder_options;
  feeder_options.may_watch = peer.role != auth::Role::kSite;
  feeder_options.may_steer = peer.role == auth::Role::kOwner;
  feeder_options.understood = (arrival.hello.capabilities & session::kCapabilityRuns) != 0;
  feeder_options.who = peer.name;
  feeder_options.wall = [&env] { return env.wall(); };
  live->feeder = std::make_unique<feed::Feeder>(*datasets->files, std::move(feeder_options));
  StageClock& stages = datasets->stages;
  live->host = std::make_unique<RoleHost>(std::move(datasets), peer.role);
  live->exchange = std::make_unique<transfer::Exchange>(transfer::Side::kListener, live->host.get(),
                                                        exchange_options(arrival.hello, stages));
  probe::ProbeSiteOptions probe_options;
  probe_options.may_probe = peer.role != auth::Role::kSite;
  probe_options.observer = peer.role == auth::Role::kObserver;
  probe_options.datagrams = hub != nullptr;
  probe_options.gate = &gate;
  probe_options.buffers = &pool;
  probe_options.wall_less_now_ns = env.wall().ns - env.now().time_since_epoch().count();
  env.entropy(probe_options.secret.writable());
  live->probe = std::make_unique<probe::ProbeSite>(probe_options);
  const std::array<session::Service*, 3> services{live->exchange.get(), live->feeder.get(),
                                                  live->probe.get()};
  session::SessionOptions options;
  options.buffers = &pool;
  options.stages = &stages;
  options.datagrams = hub != nullptr;
  options.learned = known;
  live->session = session::Session::accept(env.now(), arrival, options, services, &first);
  Live* self = live.get();
  auto dialer = [](const session::Dial&) -> io::Task<Result<std::unique_ptr<io::Stream>>> {
    co_return fail(Kind::kLink, "dial", "the accepting side does not");
  };
  live->began = env.now();
  auto on_event = [self, &env](const session::Event& event) {
    if (std::holds_alternative<session::LinkDown>(event)) self->down_since = env.now();
    if (std::holds_alternative<session::LinkUp>(event)) self->down_since.reset();
  };
  auto on_drained = [self, &log, &stages] {
    if (self->probe_socket != nullptr) self->probe_socket->kick();
    tell(log, stages, *self->exchange, *self->feeder, *self->probe, *self->pump);
  };
  live->pump = std::make_unique<io::Pump>(env, *live->session, dialer, on_event, on_drained);
  if (hub == nullptr) return live;
  live->pump->use(*hub);
  live->probe_socket =
      std::make_unique<io::ProbeSocket>(env, *hub, *live->probe, [self] { self->pump->poke(); });
  return live;
}

std::vector<std::shared_ptr<Live>> abandoned(
    const std::map<wire::SessionToken, std::shared_ptr<Live>>& sessions, Time now) {
  std::vector<std::shared_ptr<Live>> out;
  for (const auto& [token, old] : sessions) {
    if (!old->down_since || now - *old->down_since < kAbandonedAfter) continue;
    const auto replaces = [&old = old](const auto& entry) {
      const Live& newer = *entry.second;
      return newer.peer == old->peer && newer.began > old->began && !newer.down_since;
    };
    if (std::any_of(sessions.begin(), sessions.end(), replaces)) out.push_back(old);
  }
  return out;
}

}  // namespace longhaul::streamer
