// RunListWork: what `longhaul runs` shows: each run below runs/, with what the beginning and the
// end of its newest attempt's log say. The cost of a run does not grow with its log. Handed out
// again for the next page until `last`.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

// A log that nobody wrote to for so long is silent.
constexpr Duration kSilentAfter = 60s;
constexpr std::size_t kRunsMax = 100'000;  // looked at

class RunListWork final : public Work {
 public:
  RunListWork(store::Files& files, WallTime now) : files_(files), now_(now) {}
  void run() override;

  std::vector<wire::RunLine> lines;  // of this page
  bool last = false;
  std::optional<Error> error;

 private:
  Result<> find(const store::TreeName& folder);
  std::optional<wire::RunLine> look_at(const store::TreeName& folder);

  store::Files& files_;
  const WallTime now_;
  bool found_ = false;
  std::deque<store::TreeName> left_;
};

}  // namespace longhaul::feed
