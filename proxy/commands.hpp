// The commands of `longhaul`, one file each. All return the exit code; errors have been said
// through App.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/app.hpp"

namespace longhaul::proxy {

// Makes this node's identity; does nothing when there is one.
io::Task<int> init(App& app);

struct JoinOptions {
  std::string name;
  std::string invite_line;  // from stdin, never from the command line
  std::string listen;       // the site calls us here (`longhaul-streamer run --dial`)
};
io::Task<int> join(App& app, JoinOptions options);

struct JoinBySshOptions {
  std::string name, host;         // host: as ssh takes it
  std::string root = "longhaul";  // there; from the home folder unless it is absolute
  std::string role = "owner";
  std::string state;     // --state of the streamer there; empty: in its root
  std::string streamer;  // the program to put there; empty: the one that came with this
  std::string version;   // of this program
  bool tunnel = false;
};
// All of it: puts a streamer there if there is none or an old one, starts it, fetches an invite,
// pairs.
io::Task<int> join_by_ssh(App& app, JoinBySshOptions options);

struct SitesOptions {
  std::string forget;  // a name to remove
};
io::Task<int> sites(App& app, SitesOptions options);

struct DoctorOptions {
  std::string site;  // empty: this machine only
};
// What is wrong here and on the way to a site, and what mends it; kError when something will fail.
io::Task<int> doctor(App& app, DoctorOptions options);

struct ProbeOptions {
  std::string site;
  std::string budget = "20MB,10s";
  std::string save_profile;  // a netsim profile of the link, in this file
  std::string nat;           // the longest silence to try; empty: none
  std::string compare;       // a size, to be moved over UDP and over TLS; empty: do not
};
// What the link to a site is like: docs/probe.md.
io::Task<int> probe(App& app, ProbeOptions options);

struct PushOptions {
  std::string source, place;
  std::vector<std::string> excludes, exclude_from;
  std::string files_from;
  std::string limit_rate, mode, trace, telemetry;
  bool dry_run = false, watch = false;
  bool queue = false;  // left with the proxy daemon, which pushes when the site can be reached
};
io::Task<int> push(App& app, PushOptions options);

// Runs a recorded session again (docs/session.md, "Traces"); kIntegrity where it does otherwise.
struct ReplayOptions {
  std::string trace;
};
io::Task<int> replay(App& app, ReplayOptions options);

struct PullOptions {
  std::string place, target;
  std::string limit_rate, mode, trace, telemetry;
  bool delete_extra = false, force = false;
};
io::Task<int> pull(App& app, PullOptions options);

struct ListOptions {
  std::string place;
};
io::Task<int> list(App& app, ListOptions options);

struct RunsOptions {
  std::string site;
};
io::Task<int> runs(App& app, RunsOptions options);

struct MetricsOptions {
  std::string place;                // SITE/RUN
  std::vector<std::string> series;  // patterns; empty: all
  std::uint64_t since_step = 0;
  std::string tensorboard;  // a folder for event files
  bool follow = false;
};
// What a run recorded, and with --follow what it records, until Ctrl-C.
io::Task<int> metrics(App& app, MetricsOptions options);

struct TopOptions {
  std::string place;  // SITE/RUN
  bool once = false;  // one view as text, or with --json as an object, then the end
  bool dumb = false;  // the terminal has no cursor to move
  bool color = true, unicode = true;
  unsigned columns = 80, rows = 24;  // of --once
};
// A run and the link to it on the terminal, until q or Ctrl-C.
io::Task<int> top(App& app, TopOptions options);

struct LogsOptions {
  std::string place;                  // SITE/RUN
  bool follow = false, raw = false;   // raw: as it stands, on a terminal too
  std::optional<std::uint64_t> from;  // byte of the file; nothing: the last `tail` bytes
  std::uint64_t tail = 64U << 10;
};
// What a run's program printed; with follow until Ctrl-C.
io::Task<int> logs(App& app, LogsOptions options);

struct CkptListOptions {
  std::string place;  // SITE/RUN
};
io::Task<int> ckpt_list(App& app, CkptListOptions options);

struct CkptPullOptions {
  std::string place;   // SITE/RUN[@STEP]; without a step the newest
  std::string target;  // a folder of checkpoints; empty: checkpoints/SITE/RUN
  std::string limit_rate;
  bool full = false;   // everything as it stands; else the weights, rounded to bf16
  bool queue = false;  // leave it with the daemon
};
io::Task<int> ckpt_pull(App& app, CkptPullOptions options);

struct CkptFollowOptions {
  std::string place;  // SITE/RUN
  std::string target;
  std::string limit_rate;
  std::size_t keep = 0;  // of each form; 0: all
  bool full = false, full_daily = false;
  bool queue = false;  // leave it with the daemon, until it is withdrawn
};
// Each checkpoint as it is announced, until Ctrl-C.
io::Task<int> ckpt_follow(App& app, CkptFollowOptions options);

struct CtlOptions {
  std::string place;             // SITE/RUN
  std::string action;            // set, pause, resume, checkpoint, stop
  std::string setting;           // for set: lr=1e-3, lr*=0.5
  std::string expires = "5min";  // not carried out later than this
  bool queue = false;            // do not wait: the daemon, or a later command, sends it
};
// Returns when it is known what became of it: kOk if it took effect.
io::Task<int> ctl(App& app, CtlOptions options);

// The daemon that keeps links, mirrors and the queue (docs/proxy.md).
struct ProxyOptions {
  std::string version;  // of this program
  std::string log;      // run: a file for its words; empty: stderr
};
io::Task<int> proxy_run(App& app, ProxyOptions options);
io::Task<int> proxy_start(App& app, ProxyOptions options);  // returns when it answers
io::Task<int> proxy_stop(App& app);
io::Task<int> proxy_status(App& app);  // kNotFoundError: none runs
struct WithdrawOptions {
  std::uint64_t number = 0;  // of the order
};
// Takes an order back; kPartialResult: it had ended before.
io::Task<int> proxy_withdraw(App& app, WithdrawOptions options);

struct VerifyOptions {
  std::string place;
  bool rebuild = false;  // the site's index first; then a site alone will do
  bool sums = false;     // print what sha256sum would
};
io::Task<int> verify(App& app, VerifyOptions options);

struct RemoveOptions {
  std::string place;
};
io::Task<int> remove(App& app, RemoveOptions options);

}  // namespace longhaul::proxy
