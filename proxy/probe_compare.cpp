#include "proxy/probe_compare.hpp"

#include "proxy/connection.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kCompareTick = 200ms;
constexpr Duration kAnswerPatience = 3s;  // for the first datagram

io::Task<Result<WayTimes>> time_way(App& app, Site site, bool datagrams, std::uint64_t bytes) {
  ConnectOptions options;
  options.required = session::kCapabilityFill;
  options.expects_bulk = true;
  options.datagrams = datagrams;
  options.fill = probe::FillerOptions{.bytes = bytes};
  Result<std::unique_ptr<Connection>> made = Connection::make(app, site, options);
  if (!made) co_return fail(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  probe::Filler& filler = *connection->filler();
  std::optional<Error> error;
  app.when_stopped([&] {
    error = Error(Kind::kInterrupted, "compare the ways to " + site.name);
    connection->wake();
  });
  std::optional<Time> established;
  bool started = false;
  while (!error && !filler.finished()) {
    const Time now = app.env.now();
    if (connection->ended()) {
      error = *connection->ended();
      break;
    }
    if (connection->established() && !established) established = now;
    if (established && !started) {
      const bool answered = connection->session().status().datagrams;
      if (!datagrams || answered) {
        started = true;
        filler.start(now);
        connection->poke();
      } else if (now - *established > kAnswerPatience) {
        error = Error(Kind::kTimeout, "compare the ways to " + site.name, "no answer to UDP");
        break;
      }
    }
    co_await connection->changed(now + kCompareTick);
  }
  app.on_stop = nullptr;
  if (!error && filler.error()) error = filler.error();
  co_await connection->close();
  if (error) co_return fail(*error);
  co_return WayTimes{filler.up(), filler.down()};
}

}  // namespace

io::Task<Result<Comparison>> compare_ways(App& app, Site site, std::uint64_t bytes) {
  Comparison out;
  out.bytes = bytes;
  const Result<WayTimes> udp = co_await time_way(app, site, true, bytes);
  if (!udp) co_return fail(udp.error());
  out.udp = *udp;
  const Result<WayTimes> tls = co_await time_way(app, site, false, bytes);
  if (!tls) co_return fail(tls.error());
  out.tls = *tls;
  co_return out;
}

}  // namespace longhaul::proxy
