// Pump: drives one Session on real connections: reads, feeds, drains, writes, keeps its deadlines,
// runs its services' jobs. It decides nothing. One strand, Env's. The Session and its services
// belong to the owner and outlive it.
//
//   Pump pump(env, *session, {address}, on_event);
//   co_await pump.run();              // until the session has ended and every child is joined
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "lib/io/datagram_hub.hpp"
#include "lib/io/env.hpp"
#include "lib/io/signal.hpp"
#include "lib/io/task_group.hpp"
#include "lib/session/session.hpp"

namespace longhaul::io {

class Pump final : private DatagramHub::User {
 public:
  // How to open a connection (ssh tunnels differ from TCP).
  using Dialer = std::function<Task<Result<std::unique_ptr<Stream>>>(const session::Dial& how)>;
  using OnEvent = std::function<void(const session::Event&)>;

  // on_drained: after every step; where the owner looks whether its services have something to
  // tell.
  Pump(Env& env, session::Session& session, Dialer dialer, OnEvent on_event,
       std::function<void()> on_drained);
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  // The session may use this socket from now on (SessionOptions::datagrams); before run(). It
  // outlives the Pump.
  void use(DatagramHub& hub);
  Task<> run();
  // A connection that was accepted and adopted by the session (or began it) under this name.
  void attach(session::PathId path, std::unique_ptr<Stream> stream);
  void addresses_changed();  // of this host, or its routes
  void poke();               // a service has new work from outside
  void end(Error why);       // says goodbye; run() then returns
  session::Session& session() { return session_; }

 private:
  struct Path;
  using PathRef = std::shared_ptr<Path>;
  Task<> read(PathRef path);
  Task<> write(PathRef path);
  Task<> linger(PathRef path);
  Task<> dial(session::Dial how);
  Task<> work(session::ServiceId service, Job job);
  Task<> keep_time();
  void drain();
  void obey(session::Write& output);
  void obey(session::Dial& output);
  void obey(session::Close& output);
  void obey(session::Tune& output);
  void obey(session::Sample& output);
  void obey(session::HandOut& output);
  void obey(session::Event& output);
  void obey(session::SendDatagrams& output);
  void obey(session::ClaimDatagrams& output);
  void closed(const PathRef& path, const Error& why);
  void on_datagrams(const ReceivedDatagrams& in) override;
  void on_datagrams_blocked(bool blocked) override;

  Env& env_;
  session::Session& session_;
  Dialer dialer_;
  OnEvent on_event_;
  std::function<void()> on_drained_;
  DatagramHub* hub_ = nullptr;
  TaskGroup group_;
  Signal ended_;
  std::unique_ptr<Alarm> alarm_;
  std::map<session::PathId, PathRef> paths_;
  std::map<session::PathId, TaskId> dials_;
  std::deque<session::PathId> samples_;
  bool draining_ = false;
  bool over_ = false;
};

}  // namespace longhaul::io
