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
};
io::Task<int> join(App& app, JoinOptions options);

struct SitesOptions {
  std::string forget;  // a name to remove
};
io::Task<int> sites(App& app, SitesOptions options);

struct PushOptions {
  std::string source, place;
  std::vector<std::string> excludes, exclude_from;
  std::string files_from;
  std::string limit_rate, trace;
  bool dry_run = false;
};
io::Task<int> push(App& app, PushOptions options);

// Runs a recorded session again (docs/session.md, "Traces"); kIntegrity where it does otherwise.
struct ReplayOptions {
  std::string trace;
};
io::Task<int> replay(App& app, ReplayOptions options);

struct PullOptions {
  std::string place, target;
  std::string limit_rate, trace;
  bool delete_extra = false, force = false;
};
io::Task<int> pull(App& app, PullOptions options);

struct ListOptions {
  std::string place;
};
io::Task<int> list(App& app, ListOptions options);

struct VerifyOptions {
  std::string place;
};
io::Task<int> verify(App& app, VerifyOptions options);

struct RemoveOptions {
  std::string place;
};
io::Task<int> remove(App& app, RemoveOptions options);

}  // namespace longhaul::proxy
