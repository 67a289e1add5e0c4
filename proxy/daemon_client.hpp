// DaemonClient: a command's conversation with the daemon that runs, if one does (docs/proxy.md).
// Without one everything works, over a session of the command's own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/app.hpp"
#include "proxy/daemon/lines.hpp"

namespace longhaul::proxy {

class DaemonClient {
 public:
  // nullptr: none runs, or it does not answer.
  static io::Task<std::unique_ptr<DaemonClient>> find(App& app);
  // The lines of its answer, parsed.
  io::Task<Result<std::vector<daemon::Fields>>> ask(daemon::Request request);
  // The same, as they came.
  io::Task<Result<std::vector<std::string>>> lines(daemon::Request request);

 private:
  DaemonClient(App& app, std::unique_ptr<io::Stream> stream)
      : app_(app), stream_(std::move(stream)), reader_(daemon::kReplyLineMax) {}
  io::Task<Result<>> exchange(std::string request, std::vector<std::string>* lines);
  App& app_;
  std::unique_ptr<io::Stream> stream_;
  daemon::LineReader reader_;
};

// The link to a site as the daemon sees it.
struct SiteLink {
  std::string state;  // "up", "connecting", "down", "waiting", "unserved"
  std::string why;    // it is not up
  Duration since{};   // it has been so for so long
};
// Of a site or mirror line of an answer.
SiteLink site_link(const daemon::Fields& fields);

}  // namespace longhaul::proxy
