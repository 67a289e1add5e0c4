// A Node's connections: who may come in on them, and how bytes get on and off.
#include <algorithm>
#include <cstring>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {

using namespace session;

void Node::on_connected(Time, netsim::StreamId stream) {
  Connection* connection = by_stream(stream);
  if (connection == nullptr || session == nullptr) return;
  if (reads_nothing_) wan_.streams().pause_reading(stream);
  session->on_dialed(clock(), *connection->path, {});
  drain();
}

void Node::read_nothing() {
  reads_nothing_ = true;
  for (const auto& [id, connection] : connections_) wan_.streams().pause_reading(connection.stream);
}

void Node::on_bytes(Time now, netsim::StreamId stream, Slice bytes) {
  if (stopped_) {
    waiting_.push_back({now, std::nullopt, stream, std::move(bytes)});
    return;
  }
  Connection* connection = by_stream(stream);
  if (connection == nullptr) return;
  if (on_each_read) on_each_read(bytes);
  if (connection->greeter != nullptr) {
    const auto read = connection->greeter->on_stream(clock(), bytes);
    while (auto out = connection->greeter->poll_output()) {
      connection->pending_bytes += out->size();
      connection->pending.push_back(std::move(*out));
    }
    if (options_.check_every_step) connection->greeter->check();
    flush(*connection);
    if (!read.has_value()) {
      wan_.streams().close(stream);
      connections_.erase(stream.value());
    } else if (connection->greeter->knock() != nullptr) {
      judge_all();
    }
  } else if (session != nullptr) {
    session->on_stream(clock(), *connection->path, std::move(bytes));
  }
  drain();
}

// All that have knocked. A connection that overtook the one that begins its session waits while
// another is still greeting.
void Node::judge_all() {
  std::vector<netsim::StreamId> knocking, overtaking;
  bool greeting = false;
  for (const auto& [id, connection] : connections_) {
    if (connection.greeter == nullptr) continue;
    const Knock* knock = connection.greeter->knock();
    if (knock == nullptr) {
      greeting = true;
    } else if (!connection.finish) {
      const bool joins = knock->hello() != nullptr && knock->hello()->intent == wire::Intent::kJoin;
      (joins ? overtaking : knocking).push_back(connection.stream);
    }
  }
  for (netsim::StreamId stream : knocking) judge(*by_stream(stream));
  for (netsim::StreamId stream : overtaking) {
    if (Connection* connection = by_stream(stream)) {
      const auto& token = connection->greeter->knock()->hello()->session;
      if (greeting && !holds(token)) continue;
      judge(*connection);
    }
  }
}

bool Node::holds(const wire::SessionToken& token) const {
  return session != nullptr && !session->status().ended && session->association() != nullptr &&
         session->association()->token == token;
}

void Node::turn_away(Connection& connection, wire::Refusal reason) {
  connection.greeter->refuse(reason);
  while (auto out = connection.greeter->poll_output()) {
    connection.pending_bytes += out->size();
    connection.pending.push_back(std::move(*out));
  }
  connection.finish = true;
  flush(connection);
}

// What streamer/ does with lib/auth: version, key, session.
void Node::judge(Connection& connection) {
  const Knock& knock = *connection.greeter->knock();
  const wire::Hello* hello = knock.hello();
  std::optional<wire::Refusal> refusal =
      hello == nullptr ? wire::Refusal::kMalformed : judge_version(*hello);
  const bool known = std::count(admitted.begin(), admitted.end(), knock.peer) > 0;
  if (!refusal.has_value() && !known) refusal = wire::Refusal::kForbidden;
  const bool joins = hello != nullptr && hello->intent == wire::Intent::kJoin;
  if (!refusal.has_value() && joins && !holds(hello->session)) {
    refusal = wire::Refusal::kNoSession;
  }
  if (refusal.has_value()) {
    return turn_away(connection, *refusal);
  }
  Arrival arrival = connection.greeter->take();
  PathId path;
  if (joins) {
    auto adopted = session->adopt(clock(), arrival);
    if (!adopted.has_value()) {
      connection.greeter->give_back(std::move(arrival));
      connection.greeter->check();
      return turn_away(connection, refusal_of(adopted.error()));
    }
    path = *adopted;
  } else {
    SessionOptions session_options = options_.session;
    session_options.buffers = &buffers_;
    session_options.rate_mode = datagram::RateMode::kFair;  // a site's is what the dialler says
    session_options.trace = trace;
    session_options.trace_payloads = trace_payloads;
    if (session != nullptr) {  // whoever it was has begun anew
      session->end(clock(), Error(Kind::kLink, "go on", "its peer began anew"));
      while (auto output = session->poll_output()) {
      }
    }
    session = Session::accept(clock(), arrival, session_options, services_of_next(), &path);
  }
  connection.greeter.reset();
  connection.path = path;
}

void Node::on_writable(Time, netsim::StreamId stream) {
  if (Connection* connection = by_stream(stream)) flush(*connection);
  drain();
}

void Node::on_end(Time now, netsim::StreamId stream) {
  on_closed(now, stream, netsim::CloseReason::kFinished);
}

void Node::on_closed(Time, netsim::StreamId stream, netsim::CloseReason reason) {
  Connection* connection = by_stream(stream);
  if (connection == nullptr) return;
  const auto path = connection->path;
  wan_.streams().finish(stream);
  connections_.erase(stream.value());
  judge_all();
  if (session != nullptr && path.has_value()) {
    const Error why(Kind::kLink, "use a connection", std::string(netsim::name_of(reason)));
    session->on_dialed(clock(), *path, fail(why));  // ignored unless it was dialling
    session->on_stream_closed(clock(), *path, why);
  }
  drain();
}

// FIN at the byte that was asked for: what is before it goes out, what is behind never does.
bool Node::cut_by_finish(Connection& connection) {
  if (!connection.finish_after.has_value()) return false;
  const Slice& front = connection.pending.front();
  if (connection.taken_bytes + front.size() < *connection.finish_after) return false;
  const Slice last = front.first(static_cast<std::size_t>(
      *connection.finish_after - std::min(*connection.finish_after, connection.taken_bytes)));
  if (!last.empty()) wan_.streams().write(connection.stream, last);
  wan_.streams().finish(connection.stream);
  connection.taken_bytes = *connection.finish_after;
  connection.pending.clear();
  connection.pending_bytes = 0;
  return true;
}

void Node::flush(Connection& connection) {
  auto& streams = wan_.streams();
  while (!connection.pending.empty()) {
    Slice& front = connection.pending.front();
    if (cut_by_finish(connection)) return;
    std::size_t may = front.size();
    if (connection.pacing.value() > 0) {
      connection.paced_until = std::max(connection.paced_until, wan_.now() - 2 * kSocketBeat);
      if (connection.paced_until >= wan_.now()) return;
      const Duration earned = wan_.now() - connection.paced_until;
      may = std::min<std::size_t>(may, connection.pacing.bytes_in(earned).value() + 1);
    }
    const std::size_t taken = streams.write(connection.stream, front.first(may));
    connection.taken_bytes += taken;
    connection.pending_bytes -= taken;
    if (connection.pacing.value() > 0)
      connection.paced_until += connection.pacing.time_for(ByteCount(taken));
    if (taken > 0 && taken == may && may < front.size()) {
      front = front.from(taken);
      continue;
    }
    if (taken < front.size()) {
      front = front.from(taken);
      return;
    }
    connection.pending.pop_front();
  }
  if (connection.finish) {
    streams.finish(connection.stream);
    connections_.erase(connection.stream.value());
  }
}

// Room: what the session wants unsent at most, less what is unsent.
void Node::offer_room() {
  if (session == nullptr) return;
  for (auto& [id, connection] : connections_) {
    if (!connection.path.has_value()) continue;
    const netsim::StreamInfo info = wan_.streams().info(connection.stream);
    const std::uint64_t buffer = options_.streams.flow.send_buffer_bytes;
    const std::uint64_t buffered = buffer - std::min(buffer, info.room_bytes);
    const std::uint64_t unsent = buffered - std::min(buffered, info.in_flight_bytes);
    const std::uint64_t used = unsent + connection.pending_bytes;
    const std::uint64_t room =
        connection.unsent_max - std::min<std::uint64_t>(connection.unsent_max, used);
    session->on_writable(clock(), *connection.path,
                         static_cast<std::size_t>(std::min(room, info.room_bytes)));
  }
}

}  // namespace longhaul::test
