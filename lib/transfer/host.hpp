// Host: what an exchange asks of its own end when the peer asks something of it: where a push may
// end, what a pull reads, what ls, verify and rm answer. A site has one (SiteHost, over lib/store);
// a laptop that only pushes and pulls has none, and refuses. The functions only make objects, on
// the strand, at once: everything slow is in the work they return.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/escape.hpp"
#include "lib/base/job.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/transfer/sink.hpp"

namespace longhaul::transfer {

// Finds the version a peer wants to pull and lists it.
class FetchWork : public Work {
 public:
  std::shared_ptr<Source> source;
  std::optional<store::Tree> base;  // the tree the asker holds, if it is here too
  std::optional<Error> error;
};

// Answers a request page by page: handed out again until `last` is set.
class AskWork : public Work {
 public:
  std::vector<wire::Line> lines;
  std::optional<wire::Outcome> last;
};

class Host {
 public:
  virtual ~Host() = default;
  // kUsage for a name that can be no dataset, kPermission if this peer may not write.
  virtual Result<std::shared_ptr<Sink>> receive(const wire::Offer& offer) = 0;
  virtual Result<std::unique_ptr<FetchWork>> send(const wire::Fetch& fetch) = 0;
  virtual Result<std::unique_ptr<FetchWork>> send(const wire::FetchCheckpoint& fetch) {
    return fail(Kind::kUnsupported, "send a checkpoint of " + printable(fetch.run),
                "there are no runs here");
  }
  virtual Result<std::unique_ptr<AskWork>> answer(const wire::Ask& ask) = 0;
};

}  // namespace longhaul::transfer
